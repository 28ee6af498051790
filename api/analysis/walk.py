"""The walk itself: merged selection sets made once, depth, repeats, aliases and directives read off them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    get_named_type,
    is_interface_type,
    is_introspection_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from api.analysis.cost import SATURATED, Group, Selected, cost, is_connection, is_node, largest, list_size, page_size
from api.analysis.literals import check_values
from api.errors import QueryTooComplexError, ValidationFailedError
from api.limits import Limits

_INTROSPECTION: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}

_MAX_COSTS: Final = 64

Part: TypeAlias = tuple[SelectionSetNode, GraphQLNamedType | None]
FieldIn: TypeAlias = tuple[FieldNode, GraphQLNamedType | None]


@dataclass(frozen=True, slots=True)
class OperationAnalysis:
    """What an operation asks for, fragments expanded. `variables` are those that its cost depends on."""

    node: OperationDefinitionNode
    depth: int
    aliases: int
    root_fields: int
    directives: int
    is_introspective: bool
    is_introspection_only: bool
    variables: tuple[str, ...]
    defaults: Mapping[str, Any]
    root: Group
    _costs: dict[tuple[int | None, ...], int] = field(default_factory=dict, repr=False, compare=False)

    def cost(self, values: Mapping[str, Any]) -> int:
        """The most nodes that the answer can hold under these variables; O(document) once for the same sizes."""
        sizes = tuple(_size_in(values, self.defaults, name) for name in self.variables)
        known = self._costs.get(sizes)
        if known is None:
            known = cost(self.root, dict(zip(self.variables, sizes, strict=True)))
            if len(self._costs) < _MAX_COSTS:
                self._costs[sizes] = known
        return known


def analyse(document: DocumentNode, schema: GraphQLSchema, limits: Limits) -> dict[str, OperationAnalysis]:
    """Every operation by name ("" when anonymous).

    Raises QueryTooComplexError for a limit, BadUserInputError for a value, ValidationFailedError for a fragment cycle.
    """
    for definition in document.definitions:
        check_values(definition, limits)
    walk = _Walk(document, schema, limits)
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    walk.refuse_cycles()
    walk.refuse_unused([each.selection_set for each in operations])
    return {each.name.value if each.name else "": walk.operation(each) for each in operations}


class _Walk:
    def __init__(self, document: DocumentNode, schema: GraphQLSchema, limits: Limits) -> None:
        self.schema = schema
        self.limits = limits
        self.fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._spreads = {name: _spreads_of(each.selection_set, limits.repeats) for name, each in self.fragments.items()}
        self._groups: dict[tuple[tuple[int, str], ...], Group] = {}
        self._steps = 0

    def type_named(self, fragment: FragmentDefinitionNode | InlineFragmentNode) -> GraphQLNamedType | None:
        condition = fragment.type_condition
        return self.schema.get_type(condition.name.value) if condition else None

    def refuse_cycles(self) -> None:
        """An iterative three-colour walk: a chain of fragments may be as long as the document."""
        done: set[str] = set()
        for start in self.fragments:
            path = {start: iter(self._spreads[start])} if start not in done else {}
            while path:
                name = next(reversed(path))
                for spread in path[name]:
                    if spread in path:
                        raise ValidationFailedError("Fragments may not spread themselves.")
                    if spread in self.fragments and spread not in done:
                        path[spread] = iter(self._spreads[spread])
                        break
                else:
                    done.add(name)
                    del path[name]

    def refuse_unused(self, roots: list[SelectionSetNode]) -> None:
        """graphql-core would validate what nothing spreads, and this walk would not have seen it."""
        used: set[str] = set()
        new = {name for root in roots for name in _spreads_of(root, self.limits.repeats)}
        while new:
            used |= new
            new = {name for each in new for name in self._spreads.get(each, ())} - used
        if not used >= self.fragments.keys():
            raise ValidationFailedError("A fragment is never used.")

    def operation(self, node: OperationDefinitionNode) -> OperationAnalysis:
        limits = self.limits
        root = self.group(((node.selection_set, self.schema.get_root_type(node.operation)),), depth=1)
        found = OperationAnalysis(
            node=node,
            depth=root.height,
            aliases=root.aliases,
            root_fields=len(root.selected),
            directives=root.directives + _own_directives(node),
            is_introspective=not root.names.isdisjoint(_INTROSPECTION),
            is_introspection_only=root.names <= {"__schema", "__type", "__typename"},
            variables=tuple(sorted(root.variables)),
            defaults=_defaults(node),
            root=root,
        )
        _within("aliases", found.aliases, limits.aliases)
        _within("fields at the root", found.root_fields, limits.root_fields)
        _within("directives", found.directives, limits.directives)
        if found.is_introspective:
            _within("introspected objects", found.cost({}), limits.introspection_cost)
        return found

    def group(self, parts: tuple[Part, ...], depth: int) -> Group:
        """The merged selection set of `parts`, from the memo where the same parts were merged before."""
        most = self.limits.introspection_depth if _introspects(parts) else self.limits.depth
        _within("nested levels", depth, most)
        key = tuple(sorted({(id(part), type_.name if type_ else "") for part, type_ in parts}))
        known = self._groups.get(key)
        if known is None:
            known = self._groups[key] = self._merge(parts, depth)
        _within("nested levels", depth + known.height - 1, most)
        return known

    def _merge(self, parts: tuple[Part, ...], depth: int) -> Group:
        names, directives = self._collect(parts)
        introspects = _introspects(parts)
        selected: list[Selected] = []
        variables: set[str] = set()
        height = aliases = 0
        for fields in names.values():
            self._refuse_repeats(fields)
            sub_parts = self._parts(fields)
            restarts = not introspects and _introspects(sub_parts)
            group = self.group(sub_parts, 1 if restarts else depth + 1) if sub_parts else None
            each = self._selected(fields, group)
            selected.append(each)
            variables.update(each.size.variables, each.page.variables)
            aliases += any(node.alias is not None for node, _ in fields)
            if group:
                variables |= group.variables
                aliases += group.aliases
                directives += group.directives
                height = height if restarts else max(height, group.height)
        return Group(
            selected=selected,
            names=frozenset(node.name.value for fields in names.values() for node, _ in fields),
            variables=frozenset(variables),
            height=height + 1,
            aliases=min(aliases, SATURATED),
            directives=min(directives, SATURATED),
        )

    def _collect(self, parts: tuple[Part, ...]) -> tuple[dict[str, list[FieldIn]], int]:
        """The fields by response name, each fragment once, as execution collects them; and the directives met."""
        names: dict[str, list[FieldIn]] = {}
        directives = 0
        entered: set[str] = set()
        stack = list(parts)
        while stack:
            selection_set, parent = stack.pop()
            self._steps += len(selection_set.selections)
            _within("expanded selections", self._steps, self.limits.steps)
            for selection in selection_set.selections:
                directives += len(selection.directives or ())
                if isinstance(selection, FieldNode):
                    names.setdefault((selection.alias or selection.name).value, []).append((selection, parent))
                elif isinstance(selection, InlineFragmentNode):
                    stack.append((selection.selection_set, self.type_named(selection) or parent))
                elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in entered:
                    entered.add(selection.name.value)
                    fragment = self.fragments.get(selection.name.value)
                    if fragment:
                        stack.append((fragment.selection_set, self.type_named(fragment)))
        return names, directives

    def _refuse_repeats(self, fields: list[FieldIn]) -> None:
        """graphql-core compares every pair under one response name: 300 of them took half a second."""
        if len(fields) <= self.limits.repeats:
            return
        _within("selections under one name", len(fields), self.limits.repeats_over_types)
        by_type: dict[GraphQLNamedType | None, int] = {}
        for _, parent in fields:
            by_type[parent] = by_type.get(parent, 0) + 1
        _within("selections under one name", max(by_type.values()), self.limits.repeats)

    def _parts(self, fields: list[FieldIn]) -> tuple[Part, ...]:
        parts: list[Part] = []
        for node, parent in fields:
            definition = self._definition(node, parent)
            if node.selection_set:
                parts.append((node.selection_set, get_named_type(definition.type) if definition else None))
        return tuple(parts)

    def _selected(self, fields: list[FieldIn], group: Group | None) -> Selected:
        known = [(node, found) for node, parent in fields if (found := self._definition(node, parent))]
        if group is None or not known:
            return Selected(group)
        (node, definition), parent = known[0], fields[0][1]
        type_ = get_named_type(definition.type)
        if is_connection(type_):
            return Selected(group, page=largest(page_size(each, self.limits) for each, _ in known))
        is_list = is_list_type(definition.type.of_type if is_non_null_type(definition.type) else definition.type)
        if not is_list:
            return Selected(group, counts=is_node(type_) or is_introspection_type(type_))
        if is_connection(parent) and node.name.value in {"edges", "nodes"}:
            return Selected(group, counts=is_node(type_), is_paged=True)
        return Selected(group, size=largest(list_size(each, found, self.limits) for each, found in known), counts=True)

    def _definition(self, node: FieldNode, parent: GraphQLNamedType | None) -> GraphQLField | None:
        name = node.name.value
        if name in _INTROSPECTION and parent is self.schema.query_type:
            return _INTROSPECTION[name]
        return parent.fields.get(name) if is_object_type(parent) or is_interface_type(parent) else None


def _own_directives(node: OperationDefinitionNode) -> int:
    on_variables = sum(len(each.directives or ()) for each in node.variable_definitions or ())
    return len(node.directives or ()) + on_variables


def _spreads_of(selection_set: SelectionSetNode, most: int) -> set[str]:
    """The fragments spread anywhere below; one that is spread over and over in one place is refused."""
    names: set[str] = set()
    sets = [selection_set]
    while sets:
        here: list[str] = []
        for selection in sets.pop().selections:
            if isinstance(selection, FragmentSpreadNode):
                here.append(selection.name.value)
            elif isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
                sets.append(selection.selection_set)
        _within("repeated spreads", len(here) - len(set(here)), most)
        names.update(here)
    return names


def _introspects(parts: tuple[Part, ...]) -> bool:
    return any(type_ is not None and is_introspection_type(type_) for _, type_ in parts)


def _within(what: str, found: int, most: int) -> None:
    if found > most:
        raise QueryTooComplexError(f"The document has too many {what}: at most {most} are allowed.", limit=most)


def _size_in(values: Mapping[str, Any], defaults: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name, defaults.get(name))
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _defaults(node: OperationDefinitionNode) -> dict[str, Any]:
    """The variables' default values that can be a size."""
    defaults: dict[str, Any] = {}
    for each in node.variable_definitions or ():
        if isinstance(each.default_value, IntValueNode):
            defaults[each.variable.name.value] = int(each.default_value.value)
        elif isinstance(each.default_value, ListValueNode):
            defaults[each.variable.name.value] = list(each.default_value.values)
    return defaults
