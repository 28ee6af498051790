"""What a resolver may give besides objects: their JSON, where it knows what is wanted below; values of their fields."""

from typing import Any

from graphql import GraphQLError, GraphQLObjectType

from api.execution.plan import Field, Selection


def wanted_here(info: Any) -> Selection | None:
    """What is wanted of the object that the resolver gives; None as for `wanted`."""
    field: Field | None = getattr(info, "planned", None)
    return _selection(field, field.object) if field is not None else None


def wanted_of(info: Any, type_name: str) -> Selection | None:
    """What is wanted of the object that the resolver gives, which is of this type; None as for `wanted`."""
    field: Field | None = getattr(info, "planned", None)
    type_ = info.schema._schema.get_type(type_name)
    return _selection(field, type_) if field is not None and isinstance(type_, GraphQLObjectType) else None


def of_field(info: Any, field: Field) -> Any:
    """The info of a field below the resolver's own, as the field's resolver gets it."""
    raw = info._raw_info._replace(
        field_name=field.name,
        field_nodes=field.nodes,
        return_type=field.definition.type,
        parent_type=field.parent,
        path=field.path,
    )
    below = type(info)(_raw_info=raw, _field=field.own)
    below.lasting, below.planned = field.lasting, field
    return below


def _selection(field: Field, type_: GraphQLObjectType | None) -> Selection | None:
    try:
        return field.selection(type_) if type_ is not None else None
    except GraphQLError:  # a switch without a value
        return None


def is_wanted(info: Any, name: str) -> bool:
    """Whether the field of this name is wanted below the resolver's own, switches applied; no where nothing is told."""
    here = wanted_here(info)
    return here is not None and any(each.name == name for each in here.fields)


def wanted(info: Any, name: str) -> Selection | None:
    """What is wanted of the objects in the field of this name, below the resolver's own.

    None where that is not one selection of one type: two aliases, an interface, a switch without a value; and where
    graphql-core runs, which tells nothing.
    """
    here = wanted_here(info)
    below = [each for each in here.fields if each.name == name] if here else ()
    (only,) = below if len(below) == 1 else (None,)
    return _selection(only, only.object) if only is not None else None
