"""What clients send and get, as Pydantic models made from the schema; what a value may be is said by `app.validation`."""
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, create_model

from app.operations import nullable
from app.validation import TYPES, limited


class Error(BaseModel):
    """Every answer that is none of success has it."""

    error: dict[str, Any]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


def annotated(field):
    def checked(value):
        if value is None and field.required:
            raise ValueError("must not be null")
        return None if value is None else limited(field, TYPES[field.type](value))

    return Annotated[Any, PlainValidator(checked), WithJsonSchema(nullable(field))]


def fields(resource, missing):
    """Under names that Pydantic has no use for itself; clients see the fields' own."""
    return {f"field_{field.name}": (annotated(field), Field(missing(field), alias=field.name)) for field in resource.fields}


def values(model):
    """Of the fields that were given, or have a default."""
    return model.model_dump(by_alias=True)


def given(model):
    """Of the fields that were given."""
    return model.model_dump(by_alias=True, exclude_unset=True)


def missing(field):
    """What a field is that was not given; an ellipsis: it must be."""
    return ... if field.asked else field.initial


class Models:
    """Of one resource."""

    def __init__(self, resource):
        name = "".join(part.title() for part in resource.table.split("_"))
        moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
        self.input = create_model(f"{name}Input", __base__=Model, **fields(resource, missing))
        self.patch = create_model(f"{name}Patch", __base__=Model, **fields(resource, lambda field: None))
        shown = {**fields(resource, lambda field: ...), "created_at": (moment, ...), "updated_at": (moment, ...)}
        self.item = create_model(name, id=(int, ...), **shown)
        self.page = create_model(f"{name}Page", items=(list[self.item], ...), next=(int | None, ...))
