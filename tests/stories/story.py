"""A story's document, and asking it of several databases: the same statements whatever the number of rows."""

from pathlib import Path
from typing import Any

from tests.client import Answer, Client

HERE = Path(__file__).parent


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


def is_batched(client_statements: tuple[str, ...], stated: tuple[str, ...]) -> bool:
    """Whether nothing but what is stated was run, and nothing of it twice: rows may lack what a statement would read."""
    return len(set(client_statements)) == len(client_statements) and set(client_statements) <= set(stated)
