"""What comes in and what goes out."""
import json
import re
import urllib.parse

from app.errors import HttpError

BODY_MOST = 1 << 20


class Request:
    """`read` gives the body; `owner` is whose items it is about."""

    def __init__(self, method, target, headers, read):
        self.method, self.headers, self.read = method, headers, read
        self.path, _, query = target.partition("?")
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.owner, self.session = None, None

    def length(self, most=BODY_MOST):
        """Of the body."""
        length = self.headers.get("Content-Length")
        # With both it would be read in one way here and in another one elsewhere.
        if "Transfer-Encoding" in self.headers or len(set(self.headers.get_all("Content-Length", []))) > 1:
            raise HttpError(411, "length_required", "a body with one Content-Length and no Transfer-Encoding is needed")
        if length is None or not re.fullmatch(r"[0-9]{1,12}", length, re.ASCII):
            raise HttpError(411, "length_required", "a body with a Content-Length is needed")
        if int(length) > most:
            raise HttpError(413, "too_large", f"the body must be at most {most} bytes")
        return int(length)

    def body(self, most=BODY_MOST):
        return self.read(self.length(most))

    def json(self):
        return parsed(self.body())


class Answer:
    """The body is JSON unless it has a type of its own; `upgrade` takes the connection over once it is sent."""

    def __init__(self, status, body=None, headers=None, content_type="application/json", upgrade=None):
        self.status, self.body, self.headers, self.content_type, self.upgrade = status, body, headers or {}, content_type, upgrade

    def data(self):
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        text = self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)
        # What a client sent that is no Unicode is not sent back as it was.
        return text.encode("utf-8", "replace")


def duplicate_free(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a field is given twice")
    return result


def no_constant(name):
    raise ValueError(f"{name} is not JSON")


def parsed(data):
    """As JSON that is read in one way only."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=duplicate_free, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, "not_json", f"the body is not JSON: {error}") from None
