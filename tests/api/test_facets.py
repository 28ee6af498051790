"""Facets and totals of insights against plain SQL, for every combination of the filters."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any, Final

import pytest

from api.node import global_id
from db.engine import Urls
from tests.client import Client, client_of
from tests.databases import clone, superuser
from tests.stories.small_world import HERE, PROJECT, plant

THEIRS = "00000001-0002-4000-8000-000000000001"
ROOF = "00000003-0001-4000-8000-000000000002"
SEVERITIES: Final[tuple[list[str] | None, ...]] = (None, ["WARNING"], ["INFO", "CRITICAL"], [])
TYPES: Final[tuple[list[str] | None, ...]] = (None, ["ANOMALY"], ["EFFICIENCY", "SCHEDULE_RISK"], [])
ABSENT = object()
STATES = list(product((ABSENT, None, True, False), (ABSENT, None, True, False)))
COUNTED = "totalCount{value isEstimate}"
FACETED = f"facets{{bySeverity{{severity count}}byType{{type count}}}}{COUNTED}"
TEXT = f"""query ($filter: InsightFilter) {{
  whole: insights(filter: $filter) {{ {FACETED} }}
  plain: insights(filter: $filter) {{ {COUNTED} }}
  paged: insights(first: 2, filter: $filter) {{ edges {{ node {{ id }} }} {FACETED} }}
  listed: insights(first: 2, filter: $filter) {{ edges {{ node {{ id }} }} {COUNTED} }}
  viewer {{ organization {{ projects(first: 10) {{ edges {{ node {{
    name
    whole: insights(filter: $filter) {{ {FACETED} }}
    plain: insights(filter: $filter) {{ {COUNTED} }}
  }} }} }} }} }}
}}"""
# How many rows of each kind there are differs, so that no sum is another's by chance.
ROWS = """
INSERT INTO app.organizations (id, slug, name, kind, timezone) VALUES ('{theirs}', 'south', 'South', 'BUILDER', 'UTC');
INSERT INTO app.projects (organization_id, id, name)
    VALUES ('{here}', '{roof}', 'Roof'), ('{theirs}', '{project}', 'Kitchen'), ('{theirs}', '{roof}', 'Roof');
DELETE FROM app.ai_insights;
INSERT INTO app.ai_insights (organization_id, project_id, insight_type, title, description, severity, is_dismissed,
        dismissed_at, expires_at)
    SELECT o.id::uuid, p.id, t.name, 'Odd', 'Odd', s.name, d.away, CASE WHEN d.away THEN now() END, now() + e.left_over
    FROM (VALUES ('{here}', 0), ('{theirs}', 1)) o (id, n),
        (VALUES (NULL::uuid, 0), ('{project}', 1), ('{roof}', 2)) p (id, n),
        (VALUES ('ANOMALY', 0), ('EFFICIENCY', 1), ('SCHEDULE_RISK', 2), ('RECOMMENDATION', 3)) t (name, n),
        (VALUES ('INFO', 0), ('WARNING', 1), ('CRITICAL', 2)) s (name, n),
        (VALUES (false, 0), (true, 1)) d (away, n),
        (VALUES (NULL, 0), (interval '1 day', 1), (interval '-1 day', 2)) e (left_over, n),
        LATERAL generate_series(1, (o.n + 2 * p.n + t.n * 3 + s.n * 5 + d.n * 7 + e.n + 11 * s.n * t.n) % 5)
    WHERE NOT (p.n = 2 AND t.n = 3);
"""
COUNT = """
SELECT {key}, count(*)::int AS count FROM app.ai_insights
WHERE organization_id = $1 AND ($2::uuid IS NULL OR project_id = $2) AND ($3::boolean IS NULL OR is_dismissed = $3)
    AND ($4 OR expires_at IS NULL OR expires_at > now())
    AND ($5::text[] IS NULL OR severity = ANY ($5)) AND ($6::text[] IS NULL OR insight_type = ANY ($6))
GROUP BY 1
"""


@pytest.fixture(scope="module")
async def counting(template: Urls) -> AsyncIterator[Urls]:
    """Two organizations with insights of every kind in projects of the same ids, and nothing but statements between them."""
    async with clone(template) as copy:
        await plant(copy, times=1)
        async with superuser(copy) as connection:
            await connection.execute(ROWS.format(here=HERE, theirs=THEIRS, project=PROJECT, roof=ROOF))
            await connection.execute("ALTER TABLE app.ai_insights DISABLE ROW LEVEL SECURITY")
        yield copy


@pytest.fixture(scope="module")
async def counter(counting: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with client_of(
        counting, tmp_path_factory.mktemp("facets"), EMBEDDER="none", LIMIT_COST="10000000", LIMIT_OPERATIONS_MINUTE="1000000"
    ) as client:  # fmt: skip
        yield client


async def counts(connection: Any, key: str, project: str | None, *narrowed: Any) -> dict[Any, int]:
    rows = await connection.fetch(COUNT.format(key=key), HERE, project, *narrowed)
    return {row[0]: row[1] for row in rows}


async def expected(connection: Any, project: str | None, states: tuple[Any, Any], severity: Any, type_: Any) -> Any:
    """Each facet by its definition: narrowed by everything but its own dimension; the total by everything."""
    by_severity = await counts(connection, "severity", project, *states, None, type_)
    by_type = await counts(connection, "insight_type", project, *states, severity, None)
    total = await counts(connection, "1", project, *states, severity, type_)
    return by_severity, by_type, {"value": total.get(1, 0), "isEstimate": False}


def found(connection: dict[str, Any]) -> Any:
    facets = connection["facets"]
    severities = [each["severity"] for each in facets["bySeverity"]]
    types = [each["type"] for each in facets["byType"]]
    assert severities == [each for each in ("CRITICAL", "WARNING", "INFO") if each in severities]
    order = ("COST_PATTERN", "SCHEDULE_RISK", "EFFICIENCY", "ANOMALY", "RECOMMENDATION")
    assert types == [each for each in order if each in types]
    by_severity, by_type = ([each["count"] for each in facets[name]] for name in ("bySeverity", "byType"))
    return (
        dict(zip(severities, by_severity, strict=True)),
        dict(zip(types, by_type, strict=True)),
        connection["totalCount"],
    )


@pytest.mark.parametrize("type_", TYPES, ids=str)
@pytest.mark.parametrize("severity", SEVERITIES, ids=str)
async def test_facets_and_totals_are_what_sql_counts_of_the_organizations_own(
    counter: Client, counting: Urls, severity: list[str] | None, type_: list[str] | None
) -> None:
    async with superuser(counting) as connection:
        for dismissed, expired in STATES:
            given = {"severity": severity, "type": type_, "dismissed": dismissed, "includeExpired": expired}
            answer = await counter.ask(TEXT, filter={name: each for name, each in given.items() if each is not ABSENT})
            states = (False if dismissed is ABSENT else dismissed, expired is True)
            assert {**answer.data["paged"], "edges": []} == {**answer.data["whole"], "edges": []}
            assert answer.data["listed"]["totalCount"] == answer.data["plain"]["totalCount"]
            assert len(answer.data["listed"]["edges"]) == min(answer.data["plain"]["totalCount"]["value"], 2)
            lists = {None: answer.data} | {
                edge["node"]["name"]: edge["node"]
                for edge in answer.data["viewer"]["organization"]["projects"]["edges"]
            }
            assert len(lists) == 3
            for name, project in {None: None, "Kitchen": PROJECT, "Roof": ROOF}.items():
                wanted = await expected(connection, project, states, severity, type_)
                assert found(lists[name]["whole"]) == wanted, (name, given)
                assert lists[name]["plain"]["totalCount"] == wanted[2], (name, given)


async def test_filters_that_are_left_out_and_null_ones_narrow_nothing_but_what_is_hidden(
    counter: Client, counting: Urls
) -> None:
    async with superuser(counting) as connection:
        wanted = await expected(connection, None, (False, False), None, None)
    assert sum(wanted[0].values()) == sum(wanted[1].values()) == wanted[2]["value"] > 20
    left_out: list[dict[str, Any]] = [{}, {"filter": None}, {"filter": {}}]
    for variables in left_out:
        assert found((await counter.ask(TEXT, **variables)).data["whole"]) == wanted


async def test_facets_of_one_project_asked_at_the_root_are_those_asked_under_it(counter: Client) -> None:
    given = {"projectId": global_id("Project", ROOF), "severity": ["WARNING"], "dismissed": None}
    answer = (await counter.ask(TEXT, filter=given)).data
    roof = answer["viewer"]["organization"]["projects"]["edges"][1]["node"]
    assert roof["name"] == "Roof"
    assert found(answer["whole"]) == found(roof["whole"])
    assert answer["plain"]["totalCount"] == roof["plain"]["totalCount"] == answer["whole"]["totalCount"]


async def test_lists_of_one_operation_that_are_narrowed_differently_have_facets_of_their_own(counter: Client) -> None:
    filters = [
        "{severity:[INFO]}",
        "{severity:[WARNING]}",
        "{type:[ANOMALY]}",
        "{dismissed:true}",
        "{includeExpired:true}",
    ]
    lists = [f"insights(filter:{each}){{{FACETED}}}" for each in filters]
    aliased = " ".join(f"l{at}:{each}" for at, each in enumerate(lists))
    together = (await counter.ask(f"{{{aliased}}}")).data
    alone = [(await counter.ask(f"{{{each}}}")).data["insights"] for each in lists]
    assert list(together.values()) == alone
    assert len({str(each) for each in alone}) == len(filters)
    nested = "{viewer{organization{projects(first:10){edges{node{%s}}}}}}"
    below = (await counter.ask(nested % aliased)).data
    apart = [(await counter.ask(nested % each)).data["viewer"]["organization"]["projects"]["edges"] for each in lists]
    for at, edge in enumerate(below["viewer"]["organization"]["projects"]["edges"]):
        assert list(edge["node"].values()) == [edges[at]["node"]["insights"] for edges in apart]


@pytest.mark.parametrize("edges", ["", "edges{node{id}}"])
@pytest.mark.parametrize("given", [{}, {"severity": ["INFO"]}, {"type": ["ANOMALY"]},
    {"severity": ["INFO"], "type": ["ANOMALY"]}, {"severity": ["INFO"], "type": None}], ids=str)  # fmt: skip
async def test_a_page_its_facets_and_its_total_are_one_statement(
    counter: Client, given: dict[str, Any], edges: str
) -> None:
    text = f"query ($filter: InsightFilter) {{ insights(filter: $filter) {{ {edges} {FACETED} }} }}"
    for _ in range(2):
        answer = await counter.ask(text, filter=given)
        assert answer.data
        assert len(answer.statements) == 1
    switched = f"query ($filter: InsightFilter, $no: Boolean = false) {{ insights(filter: $filter) {{ edges {{ node {{ id }} }} ... @include(if: $no) {{ {FACETED} }} }} }}"
    answer = await counter.ask(switched, filter=given)
    assert not any("count(" in sql for sql in answer.statements)
    # An empty page brings nothing along.
    answer = await counter.ask(text, filter={**given, "severity": []})
    assert answer.data["insights"]["totalCount"]["value"] == 0
    assert len(answer.statements) == (2 if edges else 1)
