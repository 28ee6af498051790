"""The cache of plans: every operation that was seen, while there is room for the tokens of its document."""

from collections import OrderedDict

import graphql
from graphql import GraphQLSchema, OperationDefinitionNode, VariableNode
from graphql.execution.collect_fields import FragmentDetails

from api.execution.arguments import walk
from api.execution.inputs import Inputs
from api.execution.plan import NOT_TAKEN, SWITCHES, Document
from api.execution.variables import Variables


class Plans:
    """Every operation that was seen, by its document's digest, while there is room for their tokens."""

    def __init__(self, schema: GraphQLSchema, cached_tokens: int) -> None:
        self._schema = schema
        self._inputs = Inputs(schema)
        self._cached_tokens = cached_tokens
        self._kept: OrderedDict[tuple[str, str | None], tuple[Document, int]] = OrderedDict()
        self._weight = 0

    def document(self, ast: graphql.DocumentNode, digest: str, operation: OperationDefinitionNode) -> Document:
        key = (digest, operation.name.value if operation.name else None)
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known[0]
        made, weight = self._make(ast, operation), max(ast.token_count or 0, 1)
        self._kept[key] = made, weight
        self._weight += weight
        while self._weight > self._cached_tokens and len(self._kept) > 1:
            self._weight -= self._kept.popitem(last=False)[1][1]
        return made

    def _make(self, ast: graphql.DocumentNode, operation: OperationDefinitionNode) -> Document:
        definitions = {
            each.name.value: each for each in ast.definitions if isinstance(each, graphql.FragmentDefinitionNode)
        }
        directives = {
            each
            for node in walk([operation, *definitions.values()])
            for each in getattr(node, "directives", None) or ()
        }
        names = {each.name.value for each in directives}
        used = {
            each.name.value
            for directive in directives
            if directive.name.value in SWITCHES
            for each in walk([directive])
            if isinstance(each, VariableNode)
        }
        is_taken = (
            operation.operation is not graphql.OperationType.SUBSCRIPTION
            and not names & NOT_TAKEN
            and not any(self._schema.get_directive(name) for name in ("defer", "stream"))
            and not any(each.variable_definitions for each in definitions.values())
        )
        fragments = {name: FragmentDetails(each) for name, each in definitions.items()}
        variables = Variables(self._schema, operation, self._inputs)
        switches = tuple(sorted(used))
        return Document(
            self._schema, self._inputs, variables, ast, operation, fragments, definitions, switches, is_taken
        )
