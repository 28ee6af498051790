"""Functions of input types, made once for a schema: JSON → graphql-core's value → what a resolver is called with.

They know the ordinary, right value alone. Whatever else they meet raises UnusualValueError, and graphql-core and Strawberry
do it from the beginning: every error is theirs.
"""

import math
from collections.abc import Callable
from dataclasses import MISSING
from typing import Any, Final

import graphql
from graphql import GraphQLInputObjectType, GraphQLSchema, Undefined
from graphql.type import is_required_input_field
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.relay import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.unset import UNSET

Way = Callable[[Any], Any]

# An input type inside itself bounds no value's depth, so graphql-core counts it; no type of sense has as many lists.
MAX_WITHIN: Final = 16
# Up to here a float is exact for every whole number.
_WHOLE: Final = 2**53


class UnusualValueError(Exception):
    """A value that the quick way does not know."""


class UnknownWayError(Exception):
    """A type that has no quick way."""


def as_it_is(value: Any) -> Any:
    return value


class Inputs:
    """The functions of one schema's input types, by type."""

    def __init__(self, schema: GraphQLSchema) -> None:
        own: Any = getattr(schema, "_strawberry_schema", None)
        self.strawberry: Any = own and own.schema_converter
        self._coercers: dict[str, Way | None] = {}
        self._converters: dict[Any, Way | None] = {}

    def coercer(self, type_: Any, within: int = 0) -> Way:
        """From JSON to what graphql-core makes of it. Raises UnknownWayError; the function raises UnusualValueError."""
        if within > MAX_WITHIN:
            raise UnknownWayError
        if graphql.is_non_null_type(type_):
            return self._present(type_.of_type, within)
        coerce = self._present(type_, within)
        return lambda value: None if value is None else coerce(value)

    def converter(self, type_: Any) -> Way:
        """From graphql-core's value to Strawberry's. Raises UnknownWayError."""
        if isinstance(type_, StrawberryMaybe) or type_ is GlobalID:
            raise UnknownWayError
        if isinstance(type_, StrawberryOptional):
            return self.converter(type_.of_type)
        if isinstance(type_, StrawberryList):
            return _converted_list(self.converter(type_.of_type))
        if is_scalar(type_, self.strawberry.scalar_registry) or isinstance(type_, StrawberryEnumDefinition):
            return as_it_is
        if isinstance(type_, LazyType):
            return self.converter(type_.resolve_type())
        if has_enum_definition(type_):
            return as_it_is
        if not has_object_definition(type_):
            raise UnknownWayError
        return _once(self._converters, type_, lambda: self._converted_object(type_))

    def _present(self, type_: Any, within: int) -> Way:
        if graphql.is_list_type(type_):
            return _list(self.coercer(type_.of_type, within + 1))
        return _once(self._coercers, type_.name, lambda: self._named(type_, within))

    def _named(self, type_: Any, within: int) -> Way:
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(type_, within)
        if isinstance(type_, graphql.GraphQLEnumType):
            return _one_of({name: type_.coerce_input_value(name) for name in type_.values})
        built_in = _BUILT_IN.get(type_.name)
        if built_in is not None and built_in[0] is type_:
            return built_in[1]
        return _parsed(type_.coerce_input_value)

    def _object(self, type_: GraphQLInputObjectType, within: int) -> Way:
        if type_.is_one_of or type_.out_type is not GraphQLInputObjectType.out_type:
            raise UnknownWayError
        try:
            entries = [
                (name, each.out_name or name, self.coercer(each.type, within + 1), is_required_input_field(each),
                 coerce_default_value(each))
                for name, each in type_.fields.items()
            ]  # fmt: skip
        except TypeError as error:  # a default that its type does not take
            raise UnknownWayError from error
        names = type_.fields.keys()

        def coerce(value: Any) -> dict[str, Any]:
            if type(value) is not dict or not value.keys() <= names:
                raise UnusualValueError
            made: dict[str, Any] = {}
            for name, out_name, inner, is_required, default in entries:
                if name in value:
                    made[out_name] = inner(value[name])
                elif is_required:
                    raise UnusualValueError
                elif default is not Undefined:
                    made[out_name] = default
            return made

        return coerce

    def _converted_object(self, type_: Any) -> Way:
        definition = type_.__strawberry_definition__
        if definition.from_input is not None:
            raise UnknownWayError
        name_of = self.strawberry.config.name_converter.from_field
        fields = definition.fields
        nulls = {
            each.python_name: None
            for each in fields
            if definition.is_input and each.default_value is MISSING and each.default_factory is MISSING
        }
        entries = [
            (name_of(each), each.python_name, self.converter(each.resolve_type(type_definition=definition)))
            for each in fields
        ]

        def convert(value: Any) -> Any:
            if value is None or value is UNSET:
                return value
            attributes: dict[str, Any] = nulls.copy()
            for name, attribute, inner in entries:
                if name in value:
                    attributes[attribute] = inner(value[name])
            return type_(**attributes)

        return convert


def _once(known: dict[Any, Way | None], key: Any, make: Callable[[], Way]) -> Way:
    """The function kept under this key. A type that is met again while it is being made is inside itself, and has none."""
    if key not in known:
        known[key] = None
        known[key] = make()
    way = known[key]
    if way is None:
        raise UnknownWayError
    return way


def _list(inner: Way) -> Way:
    def coerce(value: Any) -> list[Any]:
        if type(value) is not list:
            raise UnusualValueError
        return [inner(each) for each in value]

    return coerce


def _converted_list(inner: Way) -> Way:
    def convert(value: Any) -> Any:
        if value is None or value is UNSET:
            return value
        return list(value) if inner is as_it_is else [inner(each) for each in value]

    return convert


def _one_of(values: dict[str, Any]) -> Way:
    def coerce(value: Any) -> Any:
        if type(value) is not str or value not in values:
            raise UnusualValueError
        return values[value]

    return coerce


def _parsed(parse: Way) -> Way:
    def coerce(value: Any) -> Any:
        if value is None or value is Undefined:
            raise UnusualValueError
        parsed = parse(value)
        if parsed is Undefined:
            raise UnusualValueError
        return parsed

    return coerce


def _exactly(kind: type) -> Way:
    def coerce(value: Any) -> Any:
        if type(value) is not kind:
            raise UnusualValueError
        return value

    return coerce


def _int(value: Any) -> int:
    if type(value) is not int or not graphql.GRAPHQL_MIN_INT <= value <= graphql.GRAPHQL_MAX_INT:
        raise UnusualValueError
    return value


def _float(value: Any) -> float:
    if type(value) is int and -_WHOLE <= value <= _WHOLE:
        return float(value)
    if type(value) is not float or not math.isfinite(value):
        raise UnusualValueError
    return value


_BUILT_IN: Final[dict[str, tuple[graphql.GraphQLScalarType, Way]]] = {
    "String": (graphql.GraphQLString, _exactly(str)),
    "ID": (graphql.GraphQLID, _exactly(str)),
    "Boolean": (graphql.GraphQLBoolean, _exactly(bool)),
    "Int": (graphql.GraphQLInt, _int),
    "Float": (graphql.GraphQLFloat, _float),
}
