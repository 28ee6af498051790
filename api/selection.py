"""What an answer asks for, and which attributes of a node that takes: columns that nobody selected are not fetched.

A plain field takes its own attribute. A computed one takes what its code names, so it must name it itself: a test asks for
each field alone.
"""

from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any, TypeVar

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode
from strawberry.utils.str_converters import to_camel_case

from api.context import Info

F = TypeVar("F", bound=Callable[..., Any])


def taking(resolver: F, *attributes: str) -> F:
    """Say which attributes a resolver takes, where its own code names them by a variable."""
    resolver.takes = attributes  # type: ignore[attr-defined]
    return resolver


def selected(info: Info, *path: str) -> frozenset[str]:
    """The names of the fields that are selected below this path of the field, fragments followed, switches ignored."""
    lasting: dict[Any, frozenset[str]] = getattr(info, "lasting", {})  # the engine's; graphql-core has none
    known = lasting.get(path)
    if known is None:
        known = lasting[path] = _selected(info, path)
    return known


def _selected(info: Info, path: tuple[str, ...]) -> frozenset[str]:
    fragments = info._raw_info.fragments
    found = [node.selection_set for node in info._raw_info.field_nodes]
    for name in path:
        found = [each.selection_set for each in _fields(found, fragments) if each.name.value == name]
    return frozenset(each.name.value for each in _fields(found, fragments))


def selects(info: Info, *names: str) -> bool:
    """Whether the field's own selection holds one of these fields."""
    return not selected(info).isdisjoint(names)


def _fields(found: list[SelectionSetNode | None], fragments: Any) -> Iterator[FieldNode]:
    waiting, seen = list(found), set[str]()
    while waiting:
        selection_set = waiting.pop()
        for selection in selection_set.selections if selection_set else ():
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, InlineFragmentNode):
                waiting.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and (name := selection.name.value) not in seen:
                seen.add(name)
                waiting.append(fragments[name].selection_set)


@cache
def attributes(kind: Any, names: frozenset[str]) -> frozenset[str]:
    """What these fields of a node's type take. Names of other types, met below an interface, take nothing."""
    taken = _taken(kind)
    return frozenset().union(*(taken[name] for name in names if name in taken))


@cache
def _taken(kind: Any) -> dict[str, frozenset[str]]:
    fields = kind.__strawberry_definition__.fields
    return {to_camel_case(each.python_name): frozenset(_of_field(kind, each)) for each in fields}


def _of_field(kind: Any, field: Any) -> Iterator[str]:
    if field.base_resolver is None:
        names, waiting = [field.python_name], []
    else:
        function = field.base_resolver.wrapped_func
        names, waiting = [*getattr(function, "takes", ())], [getattr(function, "together", function).__code__]
    seen: set[str] = set()
    while names or waiting:
        if not names:
            code: CodeType = waiting.pop()
            waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
            names += code.co_names
            continue
        name = names.pop()
        if name not in seen:
            seen.add(name)
            yield name
            helper = getattr(kind, name, None)  # a method or a property of the same class
            helper = helper.fget if isinstance(helper, property) else helper
            waiting += [helper.__code__] if isinstance(helper, FunctionType) else []
