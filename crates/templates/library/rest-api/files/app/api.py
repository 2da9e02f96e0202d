"""The resources over HTTP: list, make, read, replace, change, delete."""
import re

from app.errors import HttpError, Missing
from app.messages import Answer
from app.schema import PREFIX, RESOURCES, SEARCH, WRITABLE
from app.validation import INTEGER_MOST, check

LIMIT, LIMIT_MOST = 50, 200
WORDS_MOST, WORD_MOST = 20, 200


def routes(app):
    return [route for resource in RESOURCES for route in of(app, resource)]


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


def page(app, resource, request):
    limit, after = whole(request.query, "limit", LIMIT, 1, LIMIT_MOST), whole(request.query, "after", 0, 0, INTEGER_MOST)
    words = request.query.get("q", [""])[-1].split() if SEARCH else []
    if len(words) > WORDS_MOST or any(len(word) > WORD_MOST or "\0" in word for word in words):
        raise HttpError(400, "invalid", f"q must be at most {WORDS_MOST} words of at most {WORD_MOST} characters", {"q": "is not words"})
    # Of what belongs to another one, that of one of them.
    names = [field.name for field in resource.fields if field.references and field.name in request.query]
    where = {name: whole(request.query, name, 0, 1, INTEGER_MOST) for name in names}
    items, following = app.store.list(resource, request.owner, limit, after, words, where)
    return Answer(200, {"items": items, "next": following})


def whole(query, name, default, least, most):
    text = query.get(name, [str(default)])[-1]
    if not re.fullmatch(r"[0-9]{1,16}", text, re.ASCII) or not least <= int(text) <= most:
        raise HttpError(400, "invalid", f"{name} must be a whole number from {least} to {most}", {name: "is out of range"})
    return int(text)
