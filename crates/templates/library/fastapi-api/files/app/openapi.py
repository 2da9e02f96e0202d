"""What FastAPI knows of this API, and what its blocks add to it."""
from fastapi.openapi.utils import get_openapi

from app.blocks import hooks


def document(api):
    if api.openapi_schema is None:
        api.openapi_schema = get_openapi(title=api.title, version=api.version, routes=api.routes)
        for block in [*hooks("describe"), *hooks("secure")]:
            block(api.openapi_schema)
    return api.openapi_schema
