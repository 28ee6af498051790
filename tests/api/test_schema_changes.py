"""What is breaking, dangerous and safe between two schemas, what a deprecation allows, and who may read more or less."""

import pytest

from api.schema_changes import SchemaDifference, Weight, differences

OLD = """
directive @readable(own: [Role!], shared: [Role!], ownAndShared: [Role!], organization: [Role!]) on OBJECT | FIELD_DEFINITION
directive @changeable(own: [Role!], organization: [Role!]) on FIELD_DEFINITION

enum Role { MEMBER OBSERVER ADMIN AUDITOR }
enum Colour { RED GREEN BLUE @deprecated(reason: "It is green.") }
interface Node { id: ID! }
type Thing implements Node @readable(own: [MEMBER], organization: [ADMIN, AUDITOR]) {
  id: ID!
  name: String!
  colour: Colour
  secret: String @readable(organization: [ADMIN])
  old: Old @deprecated(reason: "Use name.")
  size(unit: String, exact: Boolean @deprecated(reason: "It always is.")): Int
}
type Old implements Node { id: ID! part: OldPart }
type OldPart { name: String }
type Loose implements Node { id: ID! }
type Other { name: String }
union Found = Thing | Other
input Filter { name: String  old: String @deprecated(reason: "Nobody asks.") }
type Query {
  node(id: ID!): Node
  things(filter: Filter, first: Int = 20): [Thing!]! @readable(own: [MEMBER], organization: [ADMIN, AUDITOR])
  found: Found
}
type Mutation { paint(id: ID!): Thing @changeable(own: [MEMBER, ADMIN]) }
"""


def changed(*edits: tuple[str, str]) -> list[SchemaDifference]:
    """The differences that these edits of OLD make."""
    new = OLD
    for old_text, new_text in edits:
        assert old_text in new, old_text
        new = new.replace(old_text, new_text)
    return differences(OLD, new)


def kinds(found: list[SchemaDifference]) -> list[tuple[str, str, bool]]:
    return [(each.weight.value, each.kind, each.is_announced) for each in found]


def test_a_schema_does_not_differ_from_itself() -> None:
    assert differences(OLD, OLD) == []


# ── each class of change ─────────────────────────────────────────────────────────────────────────────────────────────
CHANGES = {
    ("breaking", "TYPE_REMOVED"): [("type Loose implements Node { id: ID! }\n", "")],
    ("breaking", "TYPE_CHANGED_KIND"): [("type OldPart {", "interface OldPart {")],
    ("breaking", "TYPE_REMOVED_FROM_UNION"): [("Thing | Other", "Thing")],
    ("breaking", "VALUE_REMOVED_FROM_ENUM"): [("RED GREEN", "GREEN")],
    ("breaking", "REQUIRED_INPUT_FIELD_ADDED"): [("input Filter {", "input Filter { must: Int!")],
    ("breaking", "IMPLEMENTED_INTERFACE_REMOVED"): [("type Loose implements Node", "type Loose")],
    ("breaking", "FIELD_REMOVED"): [("  name: String!\n", "")],
    ("breaking", "FIELD_CHANGED_KIND"): [("  name: String!\n", "  name: String\n")],
    ("breaking", "REQUIRED_ARG_ADDED"): [("size(", "size(must: Int! ")],
    ("breaking", "ARG_REMOVED"): [("unit: String, ", "")],
    ("breaking", "ARG_CHANGED_KIND"): [("unit: String,", "unit: Int,")],
    ("breaking", "DIRECTIVE_LOCATION_REMOVED"): [(" on OBJECT | FIELD_DEFINITION", " on OBJECT")],
    ("breaking", "ONE_OF_ADDED"): [("input Filter {", "input Filter @oneOf {")],
    ("dangerous", "OPTIONAL_ARG_ADDED"): [("size(", "size(more: Int ")],
    ("dangerous", "OPTIONAL_INPUT_FIELD_ADDED"): [("input Filter {", "input Filter { more: Int")],
    ("dangerous", "VALUE_ADDED_TO_ENUM"): [("RED GREEN", "RED GREEN BLACK")],
    ("dangerous", "TYPE_ADDED_TO_UNION"): [("Thing | Other", "Thing | Other | Loose")],
    ("dangerous", "IMPLEMENTED_INTERFACE_ADDED"): [("type Other {", "type Other implements Node { id: ID!")],
    ("dangerous", "ARG_DEFAULT_VALUE_CHANGE"): [("first: Int = 20", "first: Int = 50")],
    ("safe", "FIELD_ADDED"): [("type Other {", "type Other { more: Int")],
    ("safe", "TYPE_ADDED"): [("type Other {", "type More { id: ID }\ntype Other {")],
    ("safe", "FIELD_CHANGED_KIND_SAFE"): [("  found: Found", "  found: Found!")],
    ("safe", "DESCRIPTION_CHANGED"): [("type Other {", '"Another." type Other {')],
    ("safe", "DEPRECATED"): [("  found: Found", '  found: Found @deprecated(reason: "Ask node.")')],
    ("safe", "DEPRECATION_WITHDRAWN"): [(' @deprecated(reason: "Use name.")', "")],
    ("dangerous", "PERMISSION_LOOSENED"): [("secret: String @readable(organization: [ADMIN])", "secret: String @readable(organization: [ADMIN, AUDITOR])")],
    ("dangerous", "PERMISSION_TIGHTENED"): [("@changeable(own: [MEMBER, ADMIN])", "@changeable(own: [MEMBER])")],
    ("dangerous", "PERMISSION_UNSAID"): [(" @changeable(own: [MEMBER, ADMIN])", "")],
    ("safe", "PERMISSION_SAID"): [("type OldPart {", "type OldPart @readable(own: [MEMBER]) {")],
}  # fmt: skip


@pytest.mark.parametrize(("weight", "kind"), CHANGES, ids=map(": ".join, CHANGES))
def test_a_change_is_classified(weight: str, kind: str) -> None:
    found = kinds(changed(*CHANGES[weight, kind]))
    assert (weight, kind, False) in found
    assert {each for each, _, _ in found} <= {weight, "safe"}


def test_an_input_that_takes_several_fields_again_is_safe() -> None:
    one_of = OLD.replace("input Filter {", "input Filter @oneOf {")
    assert kinds(differences(one_of, OLD)) == [("safe", "ONE_OF_REMOVED", False)]


def test_the_worst_comes_first() -> None:
    found = changed(("type Other {", "type Other { more: Int"), ("RED GREEN", "RED BLACK"))
    assert [each.weight for each in found] == [Weight.BREAKING, Weight.DANGEROUS, Weight.SAFE]


# ── what was deprecated may go ───────────────────────────────────────────────────────────────────────────────────────
ANNOUNCED = {
    "a value": (' BLUE @deprecated(reason: "It is green.")', ""),
    "an argument": (', exact: Boolean @deprecated(reason: "It always is.")', ""),
    "an input field": ('  old: String @deprecated(reason: "Nobody asks.")', ""),
    "a field": ('  old: Old @deprecated(reason: "Use name.")\n', ""),
}


@pytest.mark.parametrize("what", ANNOUNCED)
def test_what_was_deprecated_may_be_removed(what: str) -> None:
    [found] = [each for each in changed(ANNOUNCED[what]) if each.weight is Weight.BREAKING]
    assert found.is_announced


@pytest.mark.parametrize("what", ANNOUNCED)
def test_the_same_removal_breaks_what_was_not_deprecated(what: str) -> None:
    text, _ = ANNOUNCED[what]
    bare = text[: text.index(" @deprecated")] + text[text.index(")", text.index("@deprecated")) + 1 :]
    [found] = [
        each for each in differences(OLD.replace(text, bare), OLD.replace(text, "")) if each.weight is Weight.BREAKING
    ]
    assert not found.is_announced


def test_types_go_with_the_deprecated_field_that_led_to_them() -> None:
    found = changed(
        ANNOUNCED["a field"],
        ("type Old implements Node { id: ID! part: OldPart }\n", ""),
        ("type OldPart { name: String }\n", ""),
    )
    assert kinds(found) == [("breaking", "FIELD_REMOVED", True), *[("breaking", "TYPE_REMOVED", True)] * 2]


def test_a_type_does_not_go_while_another_field_leads_to_it() -> None:
    old = OLD.replace("type Other {", "type Other { part: OldPart")
    new = OLD.replace(ANNOUNCED["a field"][0], "")
    new = new.replace("type Old implements Node { id: ID! part: OldPart }\n", "").replace(
        "type OldPart { name: String }\n", ""
    )
    found = {(each.kind, each.description): each.is_announced for each in differences(old, new)}
    assert found["TYPE_REMOVED", "Old was removed."]
    assert not found["TYPE_REMOVED", "OldPart was removed."]
    assert not found["FIELD_REMOVED", "Field Other.part was removed."]


def test_a_deprecated_field_that_stays_may_not_change_its_type() -> None:
    found = changed(("  old: Old @deprecated", "  old: String @deprecated"))
    assert kinds(found) == [("breaking", "FIELD_CHANGED_KIND", False)]


def test_a_deprecation_in_the_new_schema_announces_nothing_of_the_old_one() -> None:
    deprecated = OLD.replace("  name: String!\n", '  name: String! @deprecated(reason: "Late.")\n')
    assert kinds(differences(OLD, deprecated)) == [("safe", "DEPRECATED", False)]
    [found] = differences(deprecated, OLD.replace("  name: String!\n", ""))
    assert found.is_announced


# ── who may read and change ──────────────────────────────────────────────────────────────────────────────────────────
THING = "type Thing implements Node @readable(own: [MEMBER], organization: [ADMIN, AUDITOR])"
SECRET = "secret: String @readable(organization: [ADMIN])"


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ((THING, THING.replace("own: [MEMBER], organization: [", "organization: [MEMBER, ")), "Thing: MEMBER may read organization instead of own."),
        ((THING, THING.replace("own", "ownAndShared")), "Thing: MEMBER may read ownAndShared instead of own."),
        ((THING, THING.replace("own: [MEMBER]", "own: [MEMBER, OBSERVER]")), "Thing: OBSERVER may read own instead of nothing."),
        ((SECRET, SECRET.replace("organization", "own")), "Thing.secret: ADMIN may read own instead of organization."),
        ((SECRET, SECRET.replace("[ADMIN]", "[]")), "Thing.secret: ADMIN may read nothing instead of organization."),
        ((THING, THING.replace("own", "shared")), "Thing: MEMBER may read shared instead of own."),
        (("@changeable(own: [MEMBER, ADMIN])", "@changeable(own: [MEMBER], organization: [ADMIN])"), "Mutation.paint: ADMIN may change organization instead of own."),
    ],
)  # fmt: skip
def test_every_change_of_a_permission_is_listed_as_dangerous(edit: tuple[str, str], expected: str) -> None:
    [found] = [each for each in changed(edit) if not each.description.startswith("Query.")]
    assert (found.weight, found.description) == (Weight.DANGEROUS, expected)
    is_more = expected.endswith(("of own.", "of nothing.")) and " shared " not in expected
    assert found.kind == ("PERMISSION_LOOSENED" if is_more else "PERMISSION_TIGHTENED")


def test_a_field_that_loses_its_own_permission_has_its_types() -> None:
    found = {each.description for each in changed((SECRET, "secret: String"))}
    assert found == {
        "Thing.secret: AUDITOR may read organization instead of nothing.",
        "Thing.secret: MEMBER may read own instead of nothing.",
    }


def test_a_schema_from_before_the_directives_is_not_compared_by_them() -> None:
    bare = "\n".join(line for line in OLD.splitlines() if not line.startswith("directive"))
    for name in ("readable", "changeable"):
        while (at := bare.find(f" @{name}")) >= 0:
            bare = bare[:at] + bare[bare.index(")", at) + 1 :]
    assert {each.kind for each in differences(bare, OLD)} == {"DIRECTIVE_ADDED"}
