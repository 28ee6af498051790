"""A story's document, and asking it of several databases: the same statements whatever the number of rows."""

import re
from pathlib import Path
from typing import Any, Final

from tests.client import Answer, Client

HERE = Path(__file__).parent
_KEYS: Final = re.compile(r"= (?:\$\d+::UUID|ANY \(CAST\(\(SELECT \$\d+::UUID\[\] AS anon_1\) AS UUID\[\]\)\))")


def document(story: str) -> str:
    """The operation, as design and frontend have it."""
    return (HERE / f"{story}.graphql").read_text()


async def ask(client: Client, story: str, who: str, **variables: Any) -> Answer:
    """The answer to a story's document."""
    return await client.ask(document(story), who, **variables)


def nodes(connection: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a page."""
    return [edge["node"] for edge in connection["edges"]]


def is_refused(answer: Answer, field: str, code: str) -> bool:
    """Whether the nullable root field is null beside exactly one error of this code."""
    return answer.status == 200 and answer.body["data"] == {field: None} and answer.codes == [code]


def shapes(statements: tuple[str, ...]) -> tuple[str, ...]:
    """Statements but for how many keys they look up: one is compared by =, several by = ANY."""
    return tuple(_KEYS.sub("= keys", statement) for statement in statements)


def is_batched(client_statements: tuple[str, ...], stated: tuple[str, ...]) -> bool:
    """Whether nothing but what is stated was run, and nothing of it twice: rows may lack what a statement would read."""
    run = shapes(client_statements)
    return len(set(run)) == len(run) and set(run) <= set(shapes(stated))
