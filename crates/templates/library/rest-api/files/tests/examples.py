"""Good and bad values for every type."""
from app.schema import FIELDS

GOOD = {
    "text": ["Milk", "Größe 😀", "'; DROP TABLE x; --"],
    "integer": [3, 0, -7],
    "number": [9.5, 3, -0.25],
    "boolean": [True, False],
    "date": ["2026-12-24", "2024-02-29"],
    "datetime": ["2026-12-24T18:00:00Z", "2026-12-24T18:00:00+02:00"],
    "email": ["ada@example.org"],
    "url": ["https://example.org/a?b=c"],
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
}


def item(choice=0):
    """An item with every field."""
    return {field.name: GOOD[field.type][choice % len(GOOD[field.type])] for field in FIELDS}
