"""This API as an OpenAPI 3.1 document, made from the schema."""
from app.schema import FIELDS, PATH, PLURAL, SEARCH, SINGULAR
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
    if not field.required:
        schema["type"] = [schema["type"], "null"]
    return schema


def document():
    fields = {field.name: nullable(field) for field in FIELDS}
    required = [field.name for field in FIELDS if field.required]
    times = {name: {"type": "string", "format": "date-time"} for name in ("created_at", "updated_at")}
    schemas = {
        "Input": {"type": "object", "properties": fields, "required": required, "additionalProperties": False},
        "Patch": {"type": "object", "properties": fields, "additionalProperties": False},
        "Item": {"type": "object", "properties": {"id": {"type": "integer"}, **fields, **times}, "required": ["id", *fields, *times]},
        "Error": {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]},
    }
    words = [{"name": "q", "in": "query", "description": "words that its texts have", "schema": {"type": "string"}}] if SEARCH else []
    page = {"items": {"type": "array", "items": ref("Item")}, "next": {"type": ["integer", "null"]}}
    schemas["Page"] = {"type": "object", "properties": page, "required": ["items", "next"]}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{PLURAL.title()} API", "version": "1.0.0"},
        "components": {"schemas": schemas},
        "paths": {
            f"/{PATH}": {
                "get": operation(f"List {PLURAL}", {"200": "Page", "400": "Error"}, parameters=[query("limit", 1, 200, 50), query("after", 0, INTEGER_MOST, 0), *words]),
                "post": operation(f"Make a {SINGULAR}", {"201": "Item", "400": "Error", "409": "Error", "413": "Error", "422": "Error"}, body="Input"),
            },
            f"/{PATH}/{{id}}": {
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": INTEGER_MOST}}],
                "get": operation(f"Read a {SINGULAR}", {"200": "Item", "404": "Error"}),
                "put": operation(f"Replace a {SINGULAR}", {"200": "Item", "400": "Error", "404": "Error", "409": "Error", "413": "Error", "422": "Error"}, body="Input"),
                "patch": operation(f"Change a {SINGULAR}", {"200": "Item", "400": "Error", "404": "Error", "409": "Error", "413": "Error", "422": "Error"}, body="Patch"),
                "delete": operation(f"Delete a {SINGULAR}", {"204": None, "404": "Error"}),
            },
        },
    }


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def query(name, least, most, default):
    return {"name": name, "in": "query", "schema": {"type": "integer", "minimum": least, "maximum": most, "default": default}}


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
