"""This API as an OpenAPI 3.1 document, made from the schema."""
from app.blocks import hooks
from app.operations import operation, query, ref
from app.schema import PREFIX, RESOURCES, SEARCH, TITLE, WRITABLE
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
    return schema


def document():
    result = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1.0.0"},
        "components": {"schemas": {"Error": {"type": "object", "properties": {"error": {"type": "object"}}, "required": ["error"]}}},
        "paths": {},
    }
    for resource in RESOURCES:
        describe(result, resource)
    for block in [*hooks("describe"), *hooks("secure")]:
        block(result)
    return result


def describe(result, resource):
    name = "".join(part.title() for part in resource.table.split("_"))
    fields = {field.name: nullable(field) for field in resource.fields}
    required = [field.name for field in resource.fields if field.required]
    times = {name: {"type": "string", "format": "date-time"} for name in ("created_at", "updated_at")}
    page = {"items": {"type": "array", "items": ref(name)}, "next": {"type": ["integer", "null"]}}
    schemas = result["components"]["schemas"]
    schemas[name] = {"type": "object", "properties": {"id": {"type": "integer"}, **fields, **times}, "required": ["id", *fields, *times]}
    schemas[f"{name}Page"] = {"type": "object", "properties": page, "required": ["items", "next"]}
    parameters = [query("limit", 1, 200, 50), query("after", 0, INTEGER_MOST, 0)]
    parameters += [query(field.name, 1, INTEGER_MOST) for field in resource.fields if field.references]
    if SEARCH:
        parameters.append({"name": "q", "in": "query", "description": "words that its texts have", "schema": {"type": "string", "pattern": "^[^\\u0000]*$"}})
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": INTEGER_MOST}}
    many = {"get": operation(f"List {resource.plural}", {"200": f"{name}Page", "400": "Error"}, parameters=parameters)}
    one = {"parameters": [number], "get": operation(f"Read a {resource.singular}", {"200": name, "404": "Error"})}
    if WRITABLE:
        schemas[f"{name}Input"] = {"type": "object", "properties": fields, "required": required, "additionalProperties": False}
        schemas[f"{name}Patch"] = {"type": "object", "properties": fields, "additionalProperties": False}
        bad = {status: "Error" for status in ("400", "409", "411", "413", "422")}
        many["post"] = operation(f"Make a {resource.singular}", {"201": name, **bad}, f"{name}Input")
        one["put"] = operation(f"Replace a {resource.singular}", {"200": name, "404": "Error", **bad}, f"{name}Input")
        one["patch"] = operation(f"Change a {resource.singular}", {"200": name, "404": "Error", **bad}, f"{name}Patch")
        one["delete"] = operation(f"Delete a {resource.singular}", {"204": None, "404": "Error", "409": "Error"})
    result["paths"][f"{PREFIX}/{resource.path}"] = many
    result["paths"][f"{PREFIX}/{resource.path}/{{id}}"] = one
