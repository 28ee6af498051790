"""Plans: what an operation asks for, decided once per document, operation and values of @skip and @include.

A plan follows graphql-core's own collection of fields. It keeps no value of a caller but those switches, and of the
arguments only literals, made anew where a resolver could change them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, NoReturn, cast

import graphql
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, OperationDefinitionNode, VariableNode
from graphql.execution import default_field_resolver
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from api.execution.arguments import binder, copier, walk
from api.execution.complete import Leaf, may_have_resolved
from api.execution.inputs import Inputs, UnusualValueError
from api.execution.variables import Variables

SWITCHES: Final = frozenset({"skip", "include"})
NOT_TAKEN: Final = frozenset({"defer", "stream", "experimental_disableErrorPropagation"})
INTROSPECTION: Final = frozenset({"__schema", "__type"})
VARIANTS: Final = 16


class How(Enum):
    """How a field's column is made from the column of its parents."""

    TYPENAME = "the name of the parents' type"
    ATTRIBUTE = "an attribute of each"
    DIRECT = "the resolver's own function, called for each"
    WRAPPED = "graphql-core's resolver, called for each"
    BATCH = "a function of all of them"


@dataclass(eq=False)
class Plan:
    """The selection of a whole operation; None when graphql-core has to run it. `functions` are its compiled parts."""

    root: "Selection | None"
    uses: int = 0
    functions: dict["Selection", Callable[..., Any]] = field(default_factory=dict)

    @cached_property
    def parts(self) -> tuple["Selection", ...]:
        """Its fields one by one, as a mutation runs them."""
        root = self.root
        return tuple(Selection(root.type, (each.key,), (each,)) for each in root.fields) if root else ()


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """What all plans of one operation share. `schema` and `fragments` are what graphql-core collects fields with."""

    schema: GraphQLSchema
    inputs: Inputs
    variables: Variables
    ast: graphql.DocumentNode
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDetails]
    definitions: dict[str, graphql.FragmentDefinitionNode]
    switches: tuple[str, ...]
    is_taken: bool
    plans: dict[tuple[Any, ...], Plan] = field(default_factory=dict)

    def plan(self, variables: VariableValues) -> Plan:
        """The plan for these values. Raises GraphQLError."""
        key = tuple(variables.coerced.get(name, graphql.Undefined) for name in self.switches)
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= VARIANTS:
                self.plans.clear()
            plan = self.plans[key] = Plan(self._root(variables) if self.is_taken else None)
        plan.uses += 1
        return plan

    def _root(self, variables: VariableValues) -> "Selection | None":
        root = self.schema.get_root_type(self.operation.operation)
        if root is None:
            return None
        kept = VariableValues(
            *(
                {name: each[name] for name in self.switches if name in each}
                for each in (variables.sources, variables.coerced)
            )
        )
        found = collect_fields(self.schema, self.fragments, kept, root, self.operation).grouped_field_set
        if any(details[0].node.name.value in INTROSPECTION for details in found.values()):
            return None
        return Selection.of(self, kept, root, found, None)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The fields that are wanted of objects of one type."""

    type: GraphQLObjectType
    keys: tuple[str, ...]
    fields: tuple["Field", ...]

    @classmethod
    def of(
        cls,
        document: Document,
        switches: VariableValues,
        parent: GraphQLObjectType,
        found: GroupedFieldSet,
        path: Path | None,
    ) -> "Selection":
        """A selection of what graphql-core has collected; unknown fields are left out, as it does."""
        fields = []
        for key, details in found.items():
            definition = document.schema.get_field(parent, details[0].node.name.value)
            if definition is not None:
                here = Path(path, key, parent.name)
                fields.append(Field(document, switches, parent, definition, key, details, here))
        return cls(parent, tuple(each.key for each in fields), tuple(fields))


class Field:
    """One response field under one parent type: how it is resolved and how its values are completed.

    `lasting` is for resolvers: what follows from the field's place in the document alone lasts as long as the plan.
    `non_null` says for the field and then for each list level whether null is forbidden there; `info_name` is the
    parameter that takes Strawberry's Info, `call` what is called with a parent, or with all of them.
    """

    __slots__ = (
        "_anew", "_bind", "_document", "_has_variables", "_selections", "_switches", "abstract", "call", "definition",
        "details", "how", "info_name", "is_sync", "key", "lasting", "leaf", "may_have_resolved", "name", "nodes", "non_null", "object", "origin", "own", "parent",
        "path",
    )  # fmt: skip

    def __init__(
        self,
        document: Document,
        switches: VariableValues,
        parent: GraphQLObjectType,
        definition: GraphQLField,
        key: str,
        details: FieldDetailsList,
        path: Path,
    ) -> None:
        self._document, self._switches = document, switches
        self.parent, self.definition, self.key, self.details, self.path = parent, definition, key, details, path
        self.nodes: list[graphql.FieldNode] = [each.node for each in details]
        self.name = self.nodes[0].name.value
        self.info_name: str | None = None
        self._anew: Callable[[], Any] | None = None
        self._bind: Callable[[VariableValues], dict[str, Any]] | None = None
        self._selections: dict[str, Selection] = {}
        self.lasting: dict[Any, Any] = {}
        self._has_variables = any(isinstance(each, VariableNode) for each in walk(self.nodes[0].arguments or ()))
        self._complete()
        self._resolve()

    def _complete(self) -> None:
        type_: Any = self.definition.type
        non_null: list[bool] = []
        while True:
            non_null.append(graphql.is_non_null_type(type_))
            type_ = type_.of_type if non_null[-1] else type_
            if not graphql.is_list_type(type_):
                break
            type_ = type_.of_type
        self.non_null = tuple(non_null)
        self.leaf = Leaf(type_) if graphql.is_leaf_type(type_) else None
        self.abstract: graphql.GraphQLAbstractType | None = type_ if graphql.is_abstract_type(type_) else None
        self.object: GraphQLObjectType | None = None if self.leaf or self.abstract else type_

    def _resolve(self) -> None:
        own: StrawberryField | None = self.definition.extensions.get("strawberry-definition")
        self.own = own
        self.is_sync = False
        self.may_have_resolved = own is not None and may_have_resolved(self.parent)
        if self.name == "__typename":
            self.how, self.call = How.TYPENAME, None
        elif not isinstance(own, StrawberryField) or not _is_direct(own, self._document.schema):
            self.how, self.call = How.WRAPPED, self.definition.resolve or default_field_resolver
        elif (resolver := own.base_resolver) is None:
            is_attribute = own.default_resolver is getattr
            self.how = How.ATTRIBUTE if is_attribute else How.DIRECT
            self.call = attrgetter(own.python_name) if is_attribute else _default(own)
            self.is_sync = True
        else:
            info = resolver.info_parameter
            self.info_name = info.name if info else None
            together = getattr(resolver.wrapped_func, "together", None)
            self.how = How.BATCH if together else How.DIRECT
            self.call = together or _called(own)
            # A change happens once, and an unusual answer is begun again: what it gave has to be kept, as what was awaited.
            is_change = self.parent is self._document.schema.mutation_type
            self.is_sync = not (together or resolver.is_async or is_change)

    def selection(self, type_: GraphQLObjectType) -> Selection:
        """What is wanted of the objects of this type. Raises GraphQLError."""
        known = self._selections.get(type_.name)
        if known is None:
            document = self._document
            found = collect_subfields(
                document.schema, document.fragments, self._switches, document.operation, type_, self.details
            ).grouped_field_set
            known = self._selections[type_.name] = Selection.of(document, self._switches, type_, found, self.path)
        return known

    def arguments(self, variables: VariableValues, info: Any) -> dict[str, Any]:
        """What the resolver is called with. Raises what graphql-core and Strawberry raise for a wrong value."""
        if self._anew is not None:
            return self._anew()  # type: ignore[no-any-return]
        if not self.definition.args:
            self._anew = dict
            return {}
        if self._has_variables:
            try:
                return (self._bind or self._bound())(variables)
            except Exception:  # noqa: BLE001, S110 - whatever it is: the general way meets it again, and raises it
                pass
        values = graphql.get_argument_values(self.definition, self.nodes[0], variables)
        if self.how is not How.WRAPPED:
            own = cast("StrawberryField", self.own)
            converter = _strawberry(self._document.schema).schema_converter
            values = convert_arguments(values, own.arguments, converter.scalar_registry, converter.config, info)
        if not self._has_variables:
            self._anew = copier(values)
        return values

    def _bound(self) -> Callable[[VariableValues], dict[str, Any]]:
        self._bind = _unusual
        if self.how is not How.WRAPPED:
            own = cast("StrawberryField", self.own)
            self._bind = binder(self._document.inputs, self.definition, self.nodes[0], own.arguments)
        return self._bind


def _unusual(_: VariableValues) -> NoReturn:
    raise UnusualValueError


def _strawberry(schema: GraphQLSchema) -> Any:
    return schema._strawberry_schema  # type: ignore[attr-defined]


def _is_direct(own: StrawberryField, schema: GraphQLSchema) -> bool:
    """Whether Strawberry's wrapper around the resolver does nothing but convert arguments."""
    has_handlers = bool(_strawberry(schema).schema_converter._exception_handler_specs)
    return not (own.extensions or has_handlers) and type(own).get_result is StrawberryField.get_result


def _default(own: StrawberryField) -> Callable[..., Any]:
    resolve, name = own.default_resolver, own.python_name
    return lambda source: resolve(source, name)


def _called(own: StrawberryField) -> Callable[..., Any]:
    resolver = own.base_resolver
    assert resolver is not None  # noqa: S101 - the caller has looked
    function = cast("Callable[..., Any]", resolver.wrapped_func)
    names = [each.name for each in (resolver.parent_parameter, resolver.root_parameter) if each]
    takes_self = resolver.self_parameter is not None
    if takes_self and not names:
        return function

    def call(source: Any, **arguments: Any) -> Any:
        arguments |= dict.fromkeys(names, source)
        return function(source, **arguments) if takes_self else function(**arguments)

    return call
