"""What goes wrong, as clients are told."""


class HttpError(Exception):
    def __init__(self, status, code, message, fields=None, headers=None):
        super().__init__(message)
        self.status, self.code, self.fields, self.headers = status, code, fields or {}, headers or {}


class Invalid(HttpError):
    """What is wrong, by field."""

    def __init__(self, fields):
        super().__init__(422, "invalid", "; ".join(f"{name} {problem}" for name, problem in fields.items()), fields)


class Taken(HttpError):
    """Another one has the same in a field that is unique."""

    def __init__(self, field):
        super().__init__(409, "taken", f"another one has this {field}", {field: "is taken"})


class Missing(HttpError):
    def __init__(self, what):
        super().__init__(404, "not_found", f"there is no such {what}")
