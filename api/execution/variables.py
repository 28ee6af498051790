"""The variables of one operation: what is ordinary is coerced by functions of their types, everything else by graphql-core.

It starts again from the beginning then, so its errors are its own; and nothing of a caller is kept.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import graphql
from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.utilities.coerce_input_value import coerce_default_value

from api.execution.arguments import copier
from api.execution.inputs import Inputs, UnknownWayError, UnusualValueError, Way

MAX_COERCION_ERRORS: Final = 50
NO_VARIABLES: Final = VariableValues({}, {})


class _Variable(NamedTuple):
    """What is known of a variable before it has a value; `default` makes what it is when it is left out."""

    name: str
    signature: GraphQLVariableSignature
    absent: VariableValueSource
    is_required: bool
    coerce: Way
    default: Callable[[], Any] | None


class Variables:
    """Made once for an operation."""

    __slots__ = ("_nodes", "_schema", "_variables")

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, inputs: Inputs) -> None:
        self._schema, self._nodes = schema, operation.variable_definitions or ()
        self._variables: list[_Variable] | None
        try:
            self._variables = [_variable(schema, node, inputs) for node in self._nodes]
        except (UnknownWayError, GraphQLError, TypeError):  # a type without a quick way, or a default that is none
            self._variables = None

    def values(self, given: Mapping[str, Any]) -> VariableValues | list[GraphQLError]:
        """The values of the variables, or why there are none; as `graphql.get_variable_values` gives them."""
        if not self._nodes:
            return NO_VARIABLES
        if self._variables is not None:
            try:
                return _coerced(self._variables, given)
            except Exception:  # noqa: BLE001, S110 - whatever it is: graphql-core meets it again, and says it
                pass
        return graphql.get_variable_values(self._schema, self._nodes, dict(given), MAX_COERCION_ERRORS)


def _variable(schema: GraphQLSchema, node: graphql.VariableDefinitionNode, inputs: Inputs) -> _Variable:
    signature = get_variable_signature(schema, node)
    if isinstance(signature, GraphQLError):
        raise signature
    default = None
    if signature.default is not None:
        # A signature of its own: with the value, graphql-core keeps on it what a resolver could change.
        default = copier(coerce_default_value(get_variable_signature(schema, node)))  # type: ignore[arg-type]
        if default is None:
            raise UnknownWayError
    is_required = default is None and graphql.is_non_null_type(signature.type)
    absent = VariableValueSource(signature)
    return _Variable(signature.name, signature, absent, is_required, inputs.coercer(signature.type), default)


def _coerced(variables: list[_Variable], given: Mapping[str, Any]) -> VariableValues:
    sources: dict[str, VariableValueSource] = {}
    coerced: dict[str, Any] = {}
    for name, signature, absent, is_required, coerce, default in variables:
        if name in given:
            value = given[name]
            sources[name] = VariableValueSource(signature, value)
            coerced[name] = coerce(value)
        elif is_required:
            raise UnusualValueError
        else:
            sources[name] = absent
            if default is not None:
                coerced[name] = default()
    return VariableValues(sources, coerced)
