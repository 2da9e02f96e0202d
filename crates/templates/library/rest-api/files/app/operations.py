"""Parts of an OpenAPI document."""


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
