"""Lists of what is kept, page by page."""
import re

from app.errors import HttpError
from app.messages import Answer
from app.operations import query
from app.schema import SEARCH
from app.validation import INTEGER_MOST

LIMIT, LIMIT_MOST = 50, 200
WORDS_MOST, WORD_MOST = 20, 200


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


def parameters(resource):
    """As OpenAPI has them."""
    result = [query("limit", 1, LIMIT_MOST, LIMIT), query("after", 0, INTEGER_MOST, 0)]
    result += [query(field.name, 1, INTEGER_MOST) for field in resource.fields if field.references]
    if SEARCH:
        result.append({"name": "q", "in": "query", "description": "words that its texts have", "schema": {"type": "string", "pattern": "^[^\\u0000]*$"}})
    return result
