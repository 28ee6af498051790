"""What became of the schema since an earlier one: breaking, dangerous and safe changes, and who may read or change more.

What may break operations is graphql-core's to say. A removal is announced when the earlier schema marked the element
@deprecated; a type goes with the last deprecated element that led to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from graphql import (
    DirectiveDefinitionNode,
    DocumentNode,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_ast_schema,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    parse,
)
from graphql.utilities import find_schema_changes
from graphql.utilities.find_schema_changes import BreakingChangeType, DangerousChangeType, SchemaChange


class Weight(Enum):
    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


@dataclass(frozen=True)
class SchemaDifference:
    """One change. `is_announced`: it breaks, as a deprecation said that it would."""

    weight: Weight
    kind: str
    description: str
    is_announced: bool = False


# The rows behind each argument of @readable and @changeable.
_ROWS: Final = {
    "own": frozenset({"own"}),
    "shared": frozenset({"shared"}),
    "ownAndShared": frozenset({"own", "shared"}),
    "organization": frozenset({"own", "shared", "others'"}),
}
_VERBS: Final = {"readable": "read", "changeable": "change"}
_LENGTH: Final = 200


def differences(old: str, new: str) -> list[SchemaDifference]:
    """Every change from one SDL to the other, the worst first. Raises GraphQLError for what is no schema."""
    before, after = _built(parse(old)), _built(parse(new))
    announced = _announced(old, before, after)
    found = [
        _difference(change, is_announced=_key(change) in announced) for change in find_schema_changes(before, after)
    ]
    found += _one_of(before, after)
    found += _deprecations(before, after)
    found += _permissions(before, after)
    order = list(Weight)
    return sorted(found, key=lambda each: (order.index(each.weight), each.is_announced, each.kind, each.description))


def _built(document: DocumentNode) -> GraphQLSchema:
    return build_ast_schema(document, assume_valid=True, assume_valid_sdl=True)


def _difference(change: SchemaChange, *, is_announced: bool) -> SchemaDifference:
    weight = Weight.SAFE
    if isinstance(change.type, BreakingChangeType):
        weight = Weight.BREAKING
    elif isinstance(change.type, DangerousChangeType):
        weight = Weight.DANGEROUS
    text = " ".join(change.description.split())
    return SchemaDifference(
        weight, change.type.name, text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…", is_announced
    )


def _key(change: SchemaChange) -> tuple[str, str]:
    return change.type.name, change.description


# ── what was deprecated may go ───────────────────────────────────────────────────────────────────────────────────────
def _announced(old: str, before: GraphQLSchema, after: GraphQLSchema) -> set[tuple[str, str]]:
    """Breaking changes that are none from the earlier schema without the deprecated elements that are gone now."""
    kept = [_without_gone(definition, after) for definition in parse(old).definitions]
    without = _built(DocumentNode(definitions=tuple(kept)))
    led_to = _reached(kind for name, kind in before.type_map.items() if name in after.type_map)
    remaining = _reached(kind for name, kind in without.type_map.items() if name in after.type_map)
    dropped = led_to - remaining - after.type_map.keys()
    kept = [each for each in kept if getattr(getattr(each, "name", None), "value", None) not in dropped]
    left = {_key(change) for change in find_schema_changes(_built(DocumentNode(definitions=tuple(kept))), after)}
    return {_key(change) for change in find_schema_changes(before, after)} - left


def _without_gone(definition: Any, after: GraphQLSchema) -> Any:
    """A definition of the earlier schema without what was deprecated in it and is gone."""
    if isinstance(definition, DirectiveDefinitionNode):
        directive = after.get_directive(definition.name.value)
        return replace(definition, arguments=_kept(definition.arguments, directive.args if directive else {}))
    kind: Any = after.type_map.get(getattr(getattr(definition, "name", None), "value", ""))
    if getattr(definition, "values", None):
        return replace(definition, values=_kept(definition.values, getattr(kind, "values", {})))
    if getattr(definition, "fields", None):
        fields = getattr(kind, "fields", {})
        kept = [_without_gone_arguments(each, fields) for each in _kept(definition.fields, fields)]
        return replace(definition, fields=tuple(kept))
    return definition


def _without_gone_arguments(field: Any, fields: Mapping[str, Any]) -> Any:
    if not getattr(field, "arguments", None):
        return field
    return replace(field, arguments=_kept(field.arguments, _args(fields.get(field.name.value))))


def _kept(nodes: Iterable[Any] | None, names: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(node for node in nodes or () if node.name.value in names or not _is_deprecated(node))


def _is_deprecated(node: Any) -> bool:
    return any(directive.name.value == "deprecated" for directive in node.directives or ())


def _reached(kinds: Iterable[GraphQLNamedType]) -> set[str]:
    """Names of these types and of all that their fields, arguments, members and interfaces lead to.

    Not from an interface to what implements it: every node would be reached by `node`, and none could ever go.
    """
    waiting: list[Any] = list(kinds)
    found: set[str] = set()
    while waiting:
        kind = waiting.pop()
        if kind.name in found:
            continue
        found.add(kind.name)
        waiting += [*getattr(kind, "interfaces", ()), *getattr(kind, "types", ())]
        for field in getattr(kind, "fields", {}).values():
            waiting += [get_named_type(field.type), *(get_named_type(arg.type) for arg in _args(field).values())]
    return found


def _args(field: Any) -> Mapping[str, Any]:
    return getattr(field, "args", None) or {}


# ── what graphql-core does not look at ───────────────────────────────────────────────────────────────────────────────
def _one_of(before: GraphQLSchema, after: GraphQLSchema) -> list[SchemaDifference]:
    found = []
    for name, kind in before.type_map.items():
        later = after.type_map.get(name)
        if isinstance(kind, GraphQLInputObjectType) and isinstance(later, GraphQLInputObjectType):
            if later.is_one_of and not kind.is_one_of:
                found.append(SchemaDifference(Weight.BREAKING, "ONE_OF_ADDED", f"{name} takes exactly one field now."))
            elif kind.is_one_of and not later.is_one_of:
                found.append(SchemaDifference(Weight.SAFE, "ONE_OF_REMOVED", f"{name} takes several fields now."))
    return found


def _deprecations(before: GraphQLSchema, after: GraphQLSchema) -> list[SchemaDifference]:
    """Elements that are deprecated now, which is how clients learn of a removal to come; or not any more."""
    old, new, found = _reasons(before), _reasons(after), []
    for place in sorted(old.keys() & new.keys()):
        if (old[place] is None) != (new[place] is None):
            kind, said = ("DEPRECATED", new[place]) if old[place] is None else ("DEPRECATION_WITHDRAWN", "")
            text = f"{place} is deprecated: {said}" if said else f"{place} is not deprecated any more."
            found.append(SchemaDifference(Weight.SAFE, kind, text))
    return found


def _reasons(schema: GraphQLSchema) -> dict[str, str | None]:
    """The reason of every field, argument and value that is deprecated; None for the others."""
    found = {}
    for name, kind in schema.type_map.items():
        for inner, element in (getattr(kind, "fields", None) or getattr(kind, "values", None) or {}).items():
            found[f"{name}.{inner}"] = element.deprecation_reason
            found |= {f"{name}.{inner}({arg}:)": each.deprecation_reason for arg, each in _args(element).items()}
    return found


def _permissions(before: GraphQLSchema, after: GraphQLSchema) -> list[SchemaDifference]:
    """Who may read or change more or less than before. An operation stays valid, and its answer is another one."""
    if not _VERBS.keys() <= {directive.name for directive in before.directives}:
        return []  # nothing was said of it then
    found = []
    for name, kind in before.type_map.items():
        later = after.type_map.get(name)
        if not isinstance(kind, GraphQLObjectType) or not isinstance(later, GraphQLObjectType) or _is_given(kind):
            continue
        found += _compared(name, "readable", _said(kind, "readable"), _said(later, "readable"))
        for field_name in kind.fields.keys() & later.fields.keys():
            for directive in _VERBS:
                own = [_said(each.fields[field_name], directive) for each in (kind, later)]
                if own != [None, None]:  # where neither says it, the types do
                    of_type = (_said(each, directive) for each in (kind, later))
                    old, new = (mine if mine is not None else its for mine, its in zip(own, of_type, strict=True))
                    found += _compared(f"{name}.{field_name}", directive, old, new)
    return found


def _is_given(kind: GraphQLNamedType) -> bool:
    return is_introspection_type(kind) or is_specified_scalar_type(kind)


def _said(element: Any, name: str) -> dict[str, str] | None:
    """By role the argument that names it."""
    for directive in (element.ast_node and element.ast_node.directives) or ():
        if directive.name.value == name:
            return {
                role.value: argument.name.value
                for argument in directive.arguments or ()
                for role in getattr(argument.value, "values", ())
            }
    return None


def _compared(
    place: str, directive: str, old: dict[str, str] | None, new: dict[str, str] | None
) -> list[SchemaDifference]:
    verb = _VERBS[directive]
    if old == new:
        return []
    if old is None:
        return [SchemaDifference(Weight.SAFE, "PERMISSION_SAID", f"{place} says now who may {verb} it.")]
    if new is None:
        return [SchemaDifference(Weight.DANGEROUS, "PERMISSION_UNSAID", f"{place} does not say who may {verb} it.")]
    found = []
    for role in sorted(old.keys() | new.keys()):
        rows = [
            _ROWS.get(each.get(role, ""), frozenset({each[role]}) if role in each else frozenset())
            for each in (old, new)
        ]
        if rows[0] != rows[1]:
            kind = "PERMISSION_LOOSENED" if rows[0] < rows[1] else "PERMISSION_TIGHTENED"
            text = f"{place}: {role} may {verb} {new.get(role, 'nothing')} instead of {old.get(role, 'nothing')}."
            found.append(SchemaDifference(Weight.DANGEROUS, kind, text))
    return found
