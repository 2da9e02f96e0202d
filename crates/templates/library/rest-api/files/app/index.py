"""What is at `/`, where there are no pages: what this API has, for whoever looks."""
import html

from app.messages import Answer
from app.schema import PREFIX, RESOURCES, TITLE


def index(request, match):
    if "text/html" not in (request.headers.get("Accept") or ""):
        places = {resource.plural: f"{PREFIX}/{resource.path}" for resource in RESOURCES}
        return Answer(200, {"title": TITLE, "resources": places, "openapi": "/openapi.json", "health": "/health"})
    # Relative, so that they hold behind a proxy that adds a prefix.
    rows = "".join(f'<li><a href=".{PREFIX}/{html.escape(resource.path)}">{html.escape(resource.plural)}</a>: {described(resource)}</li>' for resource in RESOURCES)
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(TITLE)}</title></head>'
        f'<body><h1>{html.escape(TITLE)}</h1><p>This is an API, for programs: <a href="./openapi.json">all of it as OpenAPI</a>, and <a href="./health">how it is</a>.</p><ul>{rows}</ul></body></html>'
    )
    headers = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"}
    return Answer(200, text, headers, "text/html; charset=utf-8")


def described(resource):
    return html.escape(", ".join(f"{field.name} ({field.type}{', required' if field.required else ''})" for field in resource.fields))
