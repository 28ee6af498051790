"""How many nodes an operation may give: a graph of merged selection sets, multiplied out with each request's variables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLNamedType,
    IntValueNode,
    ListValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_introspection_type,
    is_object_type,
)

from api.limits import Limits

SATURATED: Final = 10**9
_MAX_LIST: Final = 1_000
_INTROSPECTION_SIZES: Final = {"types": 200, "directives": 8, "inputFields": 4, "enumValues": 4, "args": 3}


@dataclass(frozen=True, slots=True)
class Size:
    """How many items a field gives: a literal, or variables that are read with each request."""

    fixed: int
    variables: tuple[str, ...] = ()
    default: int = 1
    most: int = 1

    def under(self, sizes: Mapping[str, int | None]) -> int:
        return max((self.fixed, *(self._of(sizes.get(name)) for name in self.variables)))

    def _of(self, size: int | None) -> int:
        return self.default if size is None else min(max(size, 0), self.most)


ONE: Final = Size(1)


@dataclass(frozen=True, slots=True)
class Selected:
    """One response name of a group. `page` is the size that a connection hands to its edges."""

    group: "Group | None"
    size: Size = ONE
    page: Size = ONE
    counts: bool = False
    is_paged: bool = False


@dataclass(slots=True)
class Group:
    """A merged selection set, shared by every place that selects the same parts."""

    selected: list[Selected]
    names: frozenset[str]
    variables: frozenset[str]
    height: int
    aliases: int
    directives: int


def cost(
    group: Group, sizes: Mapping[str, int | None], page: int = 1, known: dict[tuple[int, int], int] | None = None
) -> int:
    """The most nodes below `group`, saturating. A connection's page multiplies its edges, a list's size its items."""
    known = {} if known is None else known
    key = (id(group), page)
    if key not in known:
        total = 0
        for each in group.selected:
            if each.group is not None:
                times = page if each.is_paged else each.size.under(sizes)
                total += times * (each.counts + cost(each.group, sizes, each.page.under(sizes), known))
        known[key] = min(total, SATURATED)
    return known[key]


def is_connection(type_: GraphQLNamedType | None) -> bool:
    return is_object_type(type_) and "edges" in type_.fields and "pageInfo" in type_.fields


def is_node(type_: GraphQLNamedType) -> bool:
    """Whether one of it counts: an object with an id, or what may be one."""
    return is_abstract_type(type_) or (is_object_type(type_) and any(each.name == "Node" for each in type_.interfaces))


def page_size(node: FieldNode, limits: Limits) -> Size:
    """What a connection's `first` or `last` asks for; the resolver refuses what is beyond the largest page."""
    given = {each.name.value: each.value for each in node.arguments or ()}
    sizes = [_size_of(given[name], limits.page_default, limits.page) for name in ("first", "last") if name in given]
    return largest(sizes) if sizes else Size(limits.page_default)


def list_size(node: FieldNode, definition: GraphQLField, limits: Limits) -> Size:
    """The length of a list: introspection's, what its author declared, or its `limit`, `first` or `ids`."""
    if is_introspection_type(get_named_type(definition.type)):
        return Size(_INTROSPECTION_SIZES.get(node.name.value, limits.list_default))
    given = {each.name.value: each.value for each in node.arguments or ()}
    default = _declared(definition) or limits.list_default
    for name in ("limit", "first", "ids"):
        if name in given:
            return _size_of(given[name], default, _MAX_LIST)
    return Size(default)


def largest(sizes: Iterable[Size]) -> Size:
    """One size that is no smaller than any: fields that share a response name are selected once."""
    every = list(sizes) or [ONE]
    return Size(
        max(each.fixed for each in every),
        tuple(name for each in every for name in each.variables),
        max(each.default for each in every),
        max(each.most for each in every),
    )


def _declared(definition: GraphQLField) -> int | None:
    """`strawberry.field(metadata={"list_size": n})`: what the author of a list knows of its length."""
    declared = (definition.extensions or {}).get("strawberry-definition")
    size = (getattr(declared, "metadata", None) or {}).get("list_size")
    return size if isinstance(size, int) else None


def _size_of(node: ValueNode, default: int, most: int) -> Size:
    if isinstance(node, VariableNode):
        return Size(0, (node.name.value,), default, most)
    if isinstance(node, ListValueNode):
        return Size(min(len(node.values), most))
    if isinstance(node, IntValueNode):
        return Size(min(max(int(node.value), 0), most))
    return Size(default)
