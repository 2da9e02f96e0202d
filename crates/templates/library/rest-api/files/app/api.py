"""The resources over HTTP: list, make, read, replace, change, delete."""
import re

from app.errors import Missing
from app.listing import page
from app.messages import Answer
from app.openapi import document
from app.schema import PREFIX, RESOURCES, WRITABLE
from app.validation import INTEGER_MOST, check

def routes(app):
    described = ("GET", "/openapi.json", lambda request, match: Answer(200, document()))
    return [described, *(route for resource in RESOURCES for route in of(app, resource))]


def of(app, resource):
    base = re.escape(f"{PREFIX}/{resource.path}")
    one = base + "/([0-9]{1,16})"

    def number(match):
        if int(match[1]) > INTEGER_MOST:
            raise Missing(resource.singular)
        return int(match[1])

    def show(request, match):
        return Answer(200, app.store.get(resource, request.owner, number(match)))

    def create(request, match):
        made = app.store.create(resource, request.owner, check(request.json(), resource.fields))
        app.changed("created", resource, request.owner, made)
        # Relative, so that it holds behind a proxy that adds a prefix.
        return Answer(201, made, {"Location": f"{resource.path}/{made['id']}"})

    def update(request, match, partial):
        changed = app.store.update(resource, request.owner, number(match), check(request.json(), resource.fields, partial))
        app.changed("changed", resource, request.owner, changed)
        return Answer(200, changed)

    def delete(request, match):
        app.changed("deleted", resource, request.owner, app.store.delete(resource, request.owner, number(match)))
        return Answer(204)

    reading = [("GET", base, lambda request, match: page(app, resource, request)), ("GET", one, show)]
    if not WRITABLE:
        return reading
    return reading + [
        ("POST", base, create),
        ("PUT", one, lambda request, match: update(request, match, False)),
        ("PATCH", one, lambda request, match: update(request, match, True)),
        ("DELETE", one, delete),
    ]
