"""Statements of every list of the schema: the same ones for one row and for a hundred, none of them twice."""

from typing import Any, Final

import pytest
from graphql import GraphQLObjectType, get_named_type, is_composite_type, is_leaf_type, is_required_argument

from tests.api.reach import ROUTES, SCHEMA, fields_with_arguments, literal_of, valid
from tests.client import Client
from tests.stories.story import shapes

LISTS: Final = tuple(
    (parent.name, name)
    for parent, name, field in fields_with_arguments()
    if get_named_type(field.type).name.endswith("Connection") and name != "searchDocuments"  # story 11 counts those
)
# Whom the lists are long for; the others ask as an admin.
WHO: Final = {"Query.contentSearches": "hanna"}
ADMIN: Final = "jon"


def document(parent: str, name: str, size: str) -> str:
    """The list with everything that hangs on one row without an argument of its own, a level deep."""
    kind: Any = SCHEMA.type_map[parent]
    field = kind.fields[name]
    edge = get_named_type(get_named_type(field.type).fields["edges"].type)
    node = get_named_type(edge.fields["node"].type)
    given = [f"{each}:{literal_of(valid(a.type), a.type)}" for each, a in field.args.items() if is_required_argument(a)]
    given += [size] if size else []
    arguments = f"({','.join(given)})" if given else ""
    route = ROUTES[parent]
    closing = "}" * (route.count("{") - route.count("}"))
    return f"{{{route}{name}{arguments}{{edges{{cursor node{{{everything(node)}}}}}pageInfo{{hasNextPage}}totalCount{{value}}}}{closing}}}"


def everything(kind: GraphQLObjectType) -> str:
    """Every field of a type that needs no argument: leaves as they are, objects by their leaves' first."""
    chosen = ["__typename"]
    for name, field in kind.fields.items():
        named = get_named_type(field.type)
        if any(is_required_argument(argument) for argument in field.args.values()):
            continue
        if is_leaf_type(named):
            chosen.append(name)
        elif is_composite_type(named):
            is_list = named.name.endswith("Connection")
            chosen.append(f"{name}(first:1){{edges{{node{{__typename}}}}}}" if is_list else f"{name}{{__typename}}")
    return " ".join(chosen)


@pytest.mark.parametrize(("parent", "name"), LISTS, ids=[".".join(each) for each in LISTS])
async def test_a_list_runs_the_same_statements_for_one_row_and_for_many(
    ask_world: Client, parent: str, name: str
) -> None:
    who = WHO.get(f"{parent}.{name}", ADMIN)
    few, many = [await ask_world.ask(document(parent, name, f"first:{size}"), who) for size in (1, 20)]
    for answer in (few, many):
        assert answer.data
        assert len(set(answer.statements)) == len(answer.statements), repeated(answer.statements)
        assert answer.statements
    # A row may lack what another one points to; nothing is asked that many rows do not ask as well.
    assert set(shapes(few.statements)) <= set(shapes(many.statements))
    assert len(many.statements) <= 30


@pytest.mark.parametrize(("parent", "name"), LISTS, ids=[".".join(each) for each in LISTS])
async def test_a_page_is_read_only_where_rows_are_selected_and_counted_only_where_a_count_is(
    ask_world: Client, parent: str, name: str
) -> None:
    who = WHO.get(f"{parent}.{name}", ADMIN)
    text = document(parent, name, "first:1")
    rows = text[: text.rindex("pageInfo")] + text[text.rindex("totalCount{value}") + len("totalCount{value}") :]
    counts = text.replace(text[text.rindex("{edges{cursor") + 1 : text.rindex("totalCount")], "")
    both, paged, counted = [await ask_world.ask(each, who) for each in (text, rows, counts)]
    # A page at the root that is written brings its count along.
    comes_along = parent == "Query" and "}' AS json" in both.statements[0]
    assert len(paged.statements) == len(both.statements) - (not comes_along)
    assert [" AS count, '" in answer.statements[0] for answer in (both, paged)] == [comes_along, False]
    assert "errors" not in counted.body
    assert len(counted.statements) == levels(parent) + 1


def levels(parent: str) -> int:
    """How many statements lead to an object of this type."""
    route = ROUTES[parent]
    return sum(route.count(word) for word in ("user{", "organization{", "(first:1"))


def repeated(statements: tuple[str, ...]) -> list[str]:
    return sorted({sql[:300] for sql in statements if statements.count(sql) > 1})


async def test_budgets_are_given_with_all_that_each_place_of_an_answer_asks_of_them(ask_world: Client) -> None:
    """A place reads what it selects and no more: what it read is not what another place is given."""
    one, other = "usage { budgets { metric window } }", "again: usage { budgets { metric window resetsAt remaining } }"
    own = "organization { budgets { metric window resetsAt } }"
    answers = []
    for parts in ((one, other, own), (own, other, one)):
        viewer = (await ask_world.ask(f"{{ viewer {{ {' '.join(parts)} }} }}", "alice")).data["viewer"]
        assert [(each["metric"], each["window"]) for each in viewer["again"]["budgets"]] == [
            (each["metric"], each["window"]) for each in viewer["usage"]["budgets"]
        ]
        ends = {(each["metric"], each["window"], each["resetsAt"]) for each in viewer["again"]["budgets"]}
        assert {
            (each["metric"], each["window"], each["resetsAt"]) for each in viewer["organization"]["budgets"]
        } <= ends
        answers.append(viewer)
    assert answers[0] == answers[1]
    assert answers[0]["organization"]["budgets"]
