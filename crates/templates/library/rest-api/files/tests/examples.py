"""Good and bad values for every field."""
import datetime
import itertools

from app.validation import INTEGER_MOST

GOOD = {
    "text": ["Milk", "Größe 😀", "'; DROP TABLE x; --"],
    "integer": [3, 0, -7],
    "number": [9.5, 3, -0.25],
    "boolean": [True, False],
    "date": ["2026-12-24", "2024-02-29"],
    "datetime": ["2026-12-24T18:00:00Z", "2026-12-24T18:00:00+02:00"],
    "email": ["ada@example.org"],
    "url": ["https://example.org/a?b=c"],
    "reference": [1],
}
BAD = {
    "text": ["", "   ", 3, ["a"], "a" * 10_001, "\ud800"],
    "integer": ["3", 3.5, True, 2**60],
    "number": ["9.5", False, 10**400],
    "boolean": ["true", 1],
    "date": ["24.12.2026", "2026-02-30", "20261224", 5],
    "datetime": ["2026-12-24", "yesterday", "2026-12-24T18:00:00", 5],
    "email": ["ada", "a b@c.de", 5],
    "url": ["example.org", "ftp://example.org", "http://[", "https://a b", 5],
    "reference": ["1", 0, True, 2**60, INTEGER_MOST],
}


COUNT = itertools.count(1)


def different(field):
    """Another one with each call."""
    n = next(COUNT)
    day = datetime.date(2026, 1, 1) + datetime.timedelta(days=n)
    if field.type == "text":
        return f"{n:07}".rjust(int(field.least or 0), "a")
    values = {"email": f"ada{n}@example.org", "url": f"https://example.org/{n}", "date": day.isoformat(), "datetime": f"{day}T18:00:00Z"}
    return values.get(field.type, n + (field.least or 0))


def good(field, choice=0):
    if field.unique:
        return different(field)
    if field.choices:
        return field.choices[choice % len(field.choices)]
    least, most = field.least, field.most
    if least is None and most is None:
        return GOOD[field.type][choice % len(GOOD[field.type])]
    if field.type == "text":
        return "ab"[choice % 2] * int(least or most)
    return [most if least is None else least, least if most is None else most][choice % 2]


def bad(field):
    """Values that are no good, of its type or not."""
    values = list(BAD[field.type])
    if field.choices:
        values.append("".join(field.choices) + "?")
    if field.least is not None and (field.type != "text" or field.least > 1):
        values.append("a" * (int(field.least) - 1) if field.type == "text" else field.least - 1)
    if field.most is not None:
        values.append("a" * (int(field.most) + 1) if field.type == "text" else field.most + 1)
    return values
