"""A field's arguments, made anew for each call: a literal is copied, a variable converted by the functions of its type."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from enum import Enum
from functools import partial
from typing import Any, Final

from graphql import FieldNode, GraphQLArgument, GraphQLField, Node, Undefined, ValueNode, VariableNode, is_non_null_type
from graphql.execution.values import VariableValues
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.unset import UnsetType

from api.execution.inputs import Inputs, UnknownWayError, UnusualValueError, Way

Take = Callable[[VariableValues], Any]

_LASTING: Final = (str, int, float, bool, date, Enum, UnsetType, type(None))


def copier(value: Any) -> Callable[[], Any] | None:
    """What makes a value again, so that no resolver can change another's; None where that is not known."""
    if isinstance(value, _LASTING):
        return lambda: value
    is_input = hasattr(type(value), "__strawberry_definition__")
    parts = vars(value) if is_input else value
    if isinstance(parts, list):
        items = [copier(each) for each in parts]
        return None if None in items else lambda: [each() for each in items]  # type: ignore[misc]
    if not isinstance(parts, dict) or not (is_input or type(value) is dict):
        return None
    if all(isinstance(each, _LASTING) for each in parts.values()):
        copy: Callable[[], dict[str, Any]] = parts.copy
    else:
        entries = {name: copier(each) for name, each in parts.items()}
        if None in entries.values():
            return None
        copy = lambda: {name: each() for name, each in entries.items()}  # type: ignore[misc] # noqa: E731
    return partial(_input, type(value), copy) if is_input else copy


def _input(kind: type, attributes: Callable[[], dict[str, Any]]) -> Any:
    made: Any = object.__new__(kind)
    made.__dict__ = attributes()
    return made


def binder(
    inputs: Inputs, definition: GraphQLField, node: FieldNode, arguments: list[StrawberryArgument]
) -> Callable[[VariableValues], dict[str, Any]]:
    """What makes a field's arguments from the values of variables. Raises UnknownWayError.

    It gives what `get_argument_values` and Strawberry's `convert_arguments` give, or raises where they might.
    """
    name_of = inputs.strawberry.config.name_converter.from_argument
    named = {name_of(each): each for each in arguments}
    if named.keys() != definition.args.keys() or any(each.out_name for each in definition.args.values()):
        raise UnknownWayError
    values = {each.name.value: each.value for each in node.arguments or ()}
    takes = [
        (each.python_name, _take(definition.args[name], values.get(name), inputs.converter(each.type)))
        for name, each in named.items()
    ]

    def bind(variables: VariableValues) -> dict[str, Any]:
        bound: dict[str, Any] = {}
        for name, take in takes:
            value = take(variables)
            if value is not Undefined:
                bound[name] = value
        return bound

    return bind


def _take(argument: GraphQLArgument, node: ValueNode | None, convert: Way) -> Take:
    """How one argument comes by its value; it is Undefined when it was left out."""
    is_non_null = is_non_null_type(argument.type)
    default = coerce_default_value(argument)
    is_required = is_non_null and default is Undefined

    def absent(_: VariableValues) -> Any:
        if is_required:
            raise UnusualValueError
        return Undefined if default is Undefined else convert(default)

    if node is None:
        return absent
    if isinstance(node, VariableNode):
        return _variable(node.name.value, absent, convert, is_non_null=is_non_null)
    if not any(isinstance(each, VariableNode) for each in walk([node])):
        anew = _constant(argument, node, convert)
        if anew is not None:
            return lambda _: anew()

    def literal(variables: VariableValues) -> Any:
        value = coerce_input_literal(node, argument.type, variables)
        if value is Undefined:
            raise UnusualValueError
        return convert(value)

    return literal


def _variable(name: str, absent: Take, convert: Way, *, is_non_null: bool) -> Take:
    def variable(variables: VariableValues) -> Any:
        coerced = variables.coerced
        if name not in coerced:
            return absent(variables)
        value = coerced[name]
        if value is None:
            if is_non_null:
                raise UnusualValueError
            return None
        return convert(value)

    return variable


def _constant(argument: GraphQLArgument, node: ValueNode, convert: Way) -> Callable[[], Any] | None:
    value = coerce_input_literal(node, argument.type)
    if value is Undefined:
        raise UnknownWayError
    return copier(convert(value))


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    """These nodes and all below them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for key in node.keys:
            child = getattr(node, key, None)
            waiting.extend(
                each for each in (child if isinstance(child, list | tuple) else (child,)) if isinstance(each, Node)
            )
