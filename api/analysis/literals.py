"""Values written into the document: refused when too long, too many, or impossible to store."""

from typing import Any

from graphql import (
    ArgumentNode,
    FloatValueNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableDefinitionNode,
)

from api.errors import BadUserInputError, QueryTooComplexError
from api.limits import Limits
from api.scalars import is_storable


def check_values(definition: Any, limits: Limits) -> None:
    """Iterative, O(definition). Raises BadUserInputError or QueryTooComplexError that names the argument."""
    stack: list[tuple[Any, str]] = [(definition, "")]
    while stack:
        node, path = stack.pop()
        if isinstance(node, ArgumentNode):
            stack.append((node.value, node.name.value))
        elif isinstance(node, ValueNode):
            _check_value(node, path, stack, limits)
        elif isinstance(node, VariableDefinitionNode):
            stack.extend((each, path) for each in node.directives or ())
            if node.default_value:
                stack.append((node.default_value, f"${node.variable.name.value}"))
        else:
            for name in ("variable_definitions", "directives", "arguments"):
                stack.extend((each, path) for each in getattr(node, name, None) or ())
            if selection_set := getattr(node, "selection_set", None):
                stack.extend((each, path) for each in selection_set.selections)


def _check_value(node: ValueNode, path: str, stack: list[tuple[Any, str]], limits: Limits) -> None:
    if isinstance(node, ListValueNode):
        is_vector = all(isinstance(each, IntValueNode | FloatValueNode) for each in node.values)
        most = limits.vector_items if is_vector else limits.list_items
        if len(node.values) > most:
            raise QueryTooComplexError(f"`{path}` has too many items: at most {most} are allowed.", argument=path)
        stack.extend((each, path) for each in node.values)
    elif isinstance(node, ObjectValueNode):
        if len(node.fields) > limits.list_items:
            raise QueryTooComplexError(f"`{path}` has too many fields: at most {limits.list_items}.", argument=path)
        stack.extend((each.value, f"{path}.{each.name.value}") for each in node.fields)
    elif isinstance(node, IntValueNode | FloatValueNode):
        if len(node.value) > limits.number_chars:
            raise BadUserInputError(f"`{path}` holds a number that is too long.", argument=path)
    elif isinstance(node, StringValueNode) and not is_storable(node.value):
        raise BadUserInputError(f"`{path}` holds a NUL or a lone surrogate.", argument=path)
