"""What a resource is made of."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """The types are those of `app.validation.TYPES`."""

    name: str
    type: str
    required: bool = False
    unique: bool = False
    # The only values there are; empty: any.
    choices: tuple = ()
    # Of numbers their bounds, of texts those of their length.
    least: "int | float | None" = None
    most: "int | float | None" = None
    # Path of the resource it is the id of.
    references: "str | None" = None
    # Of one that is made or replaced and says nothing of it.
    default: "str | int | float | bool | None" = None

    @property
    def asked(self):
        """Whether one that is made or replaced must say it."""
        return self.required and self.default is None

    @property
    def initial(self):
        """What it is in one that says nothing of it."""
        return False if self.type == "boolean" and self.default is None else self.default


@dataclass(frozen=True)
class Resource:
    singular: str
    plural: str
    path: str
    table: str
    fields: tuple

    def field(self, name):
        return next((field for field in self.fields if field.name == name), None)
