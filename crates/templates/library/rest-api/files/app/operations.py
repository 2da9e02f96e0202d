"""Parts of an OpenAPI document."""
from app.validation import INTEGER_MOST, TEXT_MOST

JSON_TYPES = {
    "text": {"type": "string", "minLength": 1, "maxLength": TEXT_MOST},
    "integer": {"type": "integer", "minimum": -INTEGER_MOST, "maximum": INTEGER_MOST},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "email": {"type": "string", "format": "email"},
    "url": {"type": "string", "format": "uri"},
    "reference": {"type": "integer", "minimum": 1, "maximum": INTEGER_MOST},
}


def nullable(field):
    schema = dict(JSON_TYPES[field.type])
    least, most = ("minLength", "maxLength") if schema["type"] == "string" else ("minimum", "maximum")
    if field.least is not None:
        schema[least] = int(field.least) if least == "minLength" else field.least
    if field.most is not None:
        schema[most] = int(field.most) if most == "maxLength" else field.most
    if field.choices:
        schema = {"type": "string", "enum": [*field.choices, *([] if field.required else [None])]}
    if field.references:
        schema["description"] = f"id of one of /{field.references}"
    if not field.required:
        schema["type"] = [schema["type"], "null"]
    if field.default is not None:
        schema["default"] = field.default
    return schema


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def query(name, least, most, default=None):
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return {"name": name, "in": "query", "schema": schema if default is None else {**schema, "default": default}}


def operation(summary, answers, body=None, parameters=None):
    responses = {}
    for status, schema in answers.items():
        responses[status] = {"description": "Deleted" if schema is None else schema}
        if schema is not None:
            responses[status]["content"] = {"application/json": {"schema": ref(schema)}}
    result = {"summary": summary, "responses": responses}
    if body is not None:
        result["requestBody"] = {"required": True, "content": {"application/json": {"schema": ref(body)}}}
    if parameters is not None:
        result["parameters"] = parameters
    return result
