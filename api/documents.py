"""Documents made ready once: parsed, looked at, validated, and kept by hash while there is room for their weight.

What failed is not kept: it would hold its whole syntax tree, and an attacker varies it anyway.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    parse,
    print_ast,
    specified_rules,
    validate,
)

from api.analysis import OperationAnalysis, analyse
from api.errors import (
    ApiError,
    BadUserInputError,
    ParseFailedError,
    QueryTooComplexError,
    ValidationFailedError,
    without_echo,
)
from api.limits import Limits

RULES: Final = tuple(specified_rules)
MAX_ERRORS: Final = 20


class InvalidDocumentError(Exception):
    """A document that was refused: `errors` carry their codes and are fit for the caller."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = errors


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A valid document. `digest` is the sha256 of its text in hexadecimal."""

    digest: str
    query: str
    ast: DocumentNode
    operations: Mapping[str, OperationAnalysis]

    def operation(self, name: str | None) -> OperationAnalysis:
        """The one to run. Raises BadUserInputError."""
        if name:
            found = self.operations.get(name)
            if found is None:
                raise BadUserInputError("The document has no operation of that name.", argument="operationName")
            return found
        if len(self.operations) != 1:
            raise BadUserInputError("The document has several operations: say which.", argument="operationName")
        return next(iter(self.operations.values()))


class Prepared(NamedTuple):
    """An operation that may run: its document, its syntax tree, and the nodes that it may cost."""

    document: Document
    operation: OperationAnalysis
    cost: int

    @property
    def node(self) -> OperationDefinitionNode:
        return self.operation.node

    @property
    def is_mutation(self) -> bool:
        return self.node.operation.value == "mutation"


class Documents:
    """The cache. One per schema; not shared between event loops."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, *, has_introspection: bool = True) -> None:
        self._schema = schema
        self._limits = limits
        self._has_introspection = has_introspection
        self._kept: OrderedDict[bytes, tuple[Document, int]] = OrderedDict()
        self._weight = 0
        self.hits = 0
        self.misses = 0

    def prepare(
        self, query: str, operation_name: str | None, variables: Mapping[str, Any], *, may_introspect: bool = True
    ) -> Prepared:
        """Raises InvalidDocumentError; its errors say what was refused."""
        document = self.get(query)
        try:
            operation = document.operation(operation_name)
            if operation.is_introspective:
                if not (self._has_introspection and may_introspect):
                    raise ValidationFailedError("Introspection is off.")
                if operation.is_introspection_only:
                    return Prepared(document, operation, 1)
            cost = operation.cost(variables)
            if cost > self._limits.cost:
                most = self._limits.cost
                raise QueryTooComplexError(
                    f"The operation may give {cost} nodes: at most {most} are allowed.", limit=most, cost=cost
                )
        except ApiError as error:
            raise InvalidDocumentError([error]) from None
        return Prepared(document, operation, cost)

    def get(self, query: str) -> Document:
        """The valid document of this text. Raises InvalidDocumentError."""
        key = hashlib.sha256(query.encode("utf-8", "surrogatepass")).digest()
        known = self._kept.get(key)
        if known is not None:
            self.hits += 1
            self._kept.move_to_end(key)
            return known[0]
        self.misses += 1
        document = self._make(query, key.hex())
        self._keep(key, document)
        return document

    def _make(self, query: str, digest: str) -> Document:
        ast = self._parse(query)
        try:
            operations = analyse(ast, self._schema, self._limits)
        except ApiError as error:
            raise InvalidDocumentError([error]) from None
        errors = validate(self._schema, ast, RULES, max_errors=MAX_ERRORS, hide_suggestions=not self._has_introspection)
        if errors:
            raise InvalidDocumentError([_coded(each, ast) for each in errors])
        if not operations:
            raise InvalidDocumentError([ValidationFailedError("The document has no operation.")])
        return Document(digest, query, ast, operations)

    def _parse(self, query: str) -> DocumentNode:
        limits = self._limits
        if len(query) > limits.document_chars:
            most = limits.document_chars
            raise InvalidDocumentError(
                [QueryTooComplexError(f"The document has too many characters: at most {most} are allowed.", limit=most)]
            )
        try:
            return parse(query, max_lexical_tokens=limits.tokens, max_comments=limits.comments)
        except GraphQLSyntaxError as error:
            kind = QueryTooComplexError if error.message.endswith("Parsing aborted.") else ParseFailedError
            raise InvalidDocumentError([_as(kind, error)]) from None
        except GraphQLError as error:
            raise InvalidDocumentError([_as(QueryTooComplexError, error)]) from None

    def _keep(self, key: bytes, document: Document) -> None:
        weight = max(document.ast.token_count, 1)
        self._kept[key] = (document, weight)
        self._weight += weight
        while self._weight > self._limits.cached_tokens and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._weight -= dropped


def _as(kind: type[ApiError], error: GraphQLError, **extensions: Any) -> GraphQLError:
    """graphql-core's error under a code of ours, with its place in the document, without the value that it quotes."""
    return GraphQLError(
        without_echo(error.message.removeprefix("Syntax Error: ")),
        error.nodes,
        error.source,
        error.positions,
        extensions={"code": kind.code, **extensions},
    )


def _coded(error: GraphQLError, ast: DocumentNode) -> GraphQLError:
    """A literal that does not fit its type is the caller's input; everything else is the document."""
    node = error.nodes[0] if error.nodes else None
    if isinstance(node, ValueNode) and not isinstance(node, VariableNode):
        path, place = _argument_around(ast, node)
        placed = GraphQLError(error.message, place, extensions=error.extensions)
        return _as(BadUserInputError, placed, argument=path)
    original = error.extensions or {}
    if "code" in original:
        return error
    return _as(ValidationFailedError, error)


def _argument_around(ast: DocumentNode, wanted: ValueNode) -> tuple[str, Node]:
    """The path of the argument that holds `wanted`, and its node there: `filter.projectId`; `$name` in a variable's default."""
    # Lists and objects come as copies without a place, since graphql-core fills in variables before it asks a scalar.
    text = print_ast(wanted) if wanted.loc is None else None
    stack: list[tuple[Node, str]] = [(ast, "")]
    while stack:
        node, path = stack.pop()
        if node is wanted or (text is not None and type(node) is type(wanted) and print_ast(node) == text):
            return path, node
        if isinstance(node, ArgumentNode):
            path = node.name.value
        elif isinstance(node, ObjectFieldNode):
            path = f"{path}.{node.name.value}"
        elif isinstance(node, VariableDefinitionNode):
            path = f"${node.variable.name.value}"
        for key in node.keys:
            child = getattr(node, key, None)
            children = child if isinstance(child, list | tuple) else (child,)
            stack.extend((each, path) for each in children if isinstance(each, Node))
    return "", wanted
