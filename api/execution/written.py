"""Values that come written: a resolver that knows what is wanted below it may give the JSON instead of objects."""

from typing import Any

from graphql import GraphQLError, GraphQLObjectType

from api.execution.plan import Field, Selection


def may_come_written(type_: GraphQLObjectType) -> bool:
    """Whether a resolver may give objects of this type written: their class says so by `may_come_written`."""
    definition = type_.extensions.get("strawberry-definition")
    return bool(getattr(getattr(definition, "origin", None), "may_come_written", False))


def wanted(info: Any, name: str) -> Selection | None:
    """What is wanted of the objects in the field of this name, below the resolver's own.

    None where that is not one selection of one type: two aliases, an interface, a switch without a value; and where
    graphql-core runs, which tells nothing.
    """
    field: Field | None = getattr(info, "planned", None)
    if field is None or field.object is None:
        return None
    try:
        below = [each for each in field.selection(field.object).fields if each.name == name]
        (only,) = below if len(below) == 1 else (None,)
        return only.selection(only.object) if only is not None and only.object is not None else None
    except GraphQLError:
        return None
