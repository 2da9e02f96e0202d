"""This API as an OpenAPI 3.1 document, made from the schema."""
from app.blocks import hooks
from app.listing import parameters
from app.operations import nullable, operation, ref
from app.schema import PREFIX, RESOURCES, TITLE, WRITABLE
from app.validation import INTEGER_MOST

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
    required = [field.name for field in resource.fields if field.asked]
    times = {name: {"type": "string", "format": "date-time"} for name in ("created_at", "updated_at")}
    page = {"items": {"type": "array", "items": ref(name)}, "next": {"type": ["integer", "null"]}}
    schemas = result["components"]["schemas"]
    schemas[name] = {"type": "object", "properties": {"id": {"type": "integer"}, **fields, **times}, "required": ["id", *fields, *times]}
    schemas[f"{name}Page"] = {"type": "object", "properties": page, "required": ["items", "next"]}
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": INTEGER_MOST}}
    many = {"get": operation(f"List {resource.plural}", {"200": f"{name}Page", "400": "Error"}, parameters=parameters(resource))}
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
