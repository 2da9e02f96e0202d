"""Checks what clients send, field by field."""
import datetime
import math
import re
import urllib.parse

from app.errors import Invalid

TEXT_MOST = 10_000
# Every JSON reader represents these exactly.
INTEGER_MOST = 2**53 - 1
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,250}\.[^@\s.]{1,60}")


def text(value):
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if len(value) > TEXT_MOST:
        raise ValueError(f"must be at most {TEXT_MOST} characters")
    value = value.strip()
    if not value:
        raise ValueError("must not be empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return value


def integer(value):
    # JSON knows one kind of number.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    if abs(value) > INTEGER_MOST:
        raise ValueError(f"must be between -{INTEGER_MOST} and {INTEGER_MOST}")
    return value


def number(value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a number")
    if isinstance(value, int) and abs(value) > INTEGER_MOST or not math.isfinite(value):
        raise ValueError("must be a finite number")
    return float(value)


def boolean(value):
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def date(value):
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text(value), re.ASCII):
            raise ValueError
        return datetime.date.fromisoformat(value.strip()).isoformat()
    except ValueError:
        raise ValueError("must be a date such as 2026-12-24") from None


def moment(value):
    try:
        parsed = datetime.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text(value)))
        if parsed.tzinfo is None:
            raise ValueError
        return parsed.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-12-24T18:00:00Z") from None


def email(value):
    if not EMAIL.fullmatch(text(value)):
        raise ValueError("must be an e-mail address")
    return value.strip()


def url(value):
    try:
        parsed = urllib.parse.urlsplit(text(value))
    except ValueError:
        parsed = None
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.netloc or re.search(r"\s", value.strip()):
        raise ValueError("must be a URL such as https://example.org/")
    return value.strip()


def reference(value):
    if integer(value) < 1:
        raise ValueError("must be an id")
    return value


TYPES = {
    "text": text,
    "integer": integer,
    "number": number,
    "boolean": boolean,
    "date": date,
    "datetime": moment,
    "email": email,
    "url": url,
    "reference": reference,
}


def from_text(field, text):
    """What somebody typed, or a file has, as the API takes it; what cannot be is left as it is, for `check` to say why."""
    text = text.strip()
    if field.type == "boolean":
        return {"on": True, "true": True, "yes": True, "1": True, "": False, "off": False, "false": False, "no": False, "0": False}.get(text.lower(), text)
    if not text:
        return None
    try:
        if field.type in ("integer", "reference"):
            return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else float(text)
        if field.type == "number":
            return float(text)
    except ValueError:
        return text
    if field.type == "datetime" and re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?", text):
        return text.replace(" ", "T") + "Z"
    return text


def limited(field, value):
    """What its field may hold."""
    if field.choices and value not in field.choices:
        raise ValueError("must be one of " + ", ".join(field.choices))
    size, unit = (len(value), " characters") if isinstance(value, str) else (value, "")
    if field.least is not None and size < field.least:
        raise ValueError(f"must be at least {field.least:g}{unit}")
    if field.most is not None and size > field.most:
        raise ValueError(f"must be at most {field.most:g}{unit}")
    return value


def check(body, fields, partial=False):
    """The values of a JSON body, cleaned; a partial one gives only the fields that are in it."""
    if not isinstance(body, dict):
        raise Invalid({"body": "must be a JSON object"})
    problems = {name: "is not a field" for name in body if name not in {field.name for field in fields}}
    values = {}
    for field in fields:
        if field.name not in body:
            if partial:
                continue
            if field.asked:
                problems[field.name] = "is required"
            values[field.name] = field.initial
        elif body[field.name] is None:
            if field.required:
                problems[field.name] = "must not be null"
            values[field.name] = None
        else:
            try:
                values[field.name] = limited(field, TYPES[field.type](body[field.name]))
            except ValueError as error:
                problems[field.name] = str(error)
    if problems:
        raise Invalid(problems)
    return values
