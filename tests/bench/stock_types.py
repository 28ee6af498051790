# mypy: disallow-untyped-decorators=False, disable-error-code="untyped-decorator"
"""Stock Strawberry's types: they answer the very documents that ours does."""

import base64
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Generic, NewType, TypeVar

import strawberry
from strawberry.types import Info as StrawberryInfo
from strawberry.types.scalar import ScalarDefinition

from tests.bench.stock_loaders import Request

T = TypeVar("T")
Info = StrawberryInfo[Request, None]
BigInt = NewType("BigInt", int)
Money = NewType("Money", int)
SCALARS: Mapping[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(name="BigInt", serialize=str),
    Money: strawberry.scalar(name="Money", serialize=lambda value: f"{value // 1_000_000}.{value % 1_000_000:06}"),
}


class Thumb(Enum):
    DOWN = 1
    UP = 5


class Severity(Enum):
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


def global_id(type_name: str, database_id: str) -> strawberry.ID:
    return strawberry.ID(base64.b64encode(f"{type_name}:{database_id}".encode()).decode())


def database_id(given: strawberry.ID) -> str:
    return base64.b64decode(given).decode().partition(":")[2]


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    cursor: str
    node: T


@strawberry.type
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo


def edges_of(rows: list[Any], build: Any, at: str, size: int, *, is_last: bool = False) -> dict[str, Any]:
    """The fields of a connection from one row more than the page."""
    page = rows[:size][::-1] if is_last else rows[:size]
    edges = [
        Edge(cursor=base64.b64encode(f"{getattr(row, at).isoformat()}|{row.id}".encode()).decode(), node=build(row))
        for row in page
    ]
    has_more = len(rows) > size
    start, end = (edges[0].cursor, edges[-1].cursor) if edges else (None, None)
    info = PageInfo(
        has_next_page=has_more and not is_last,
        has_previous_page=has_more and is_last,
        start_cursor=start,
        end_cursor=end,
    )
    return {"edges": edges, "page_info": info}


@strawberry.type
class SourceRef:
    kind: str
    title: str | None


@strawberry.type
class Feedback:
    id: strawberry.ID
    rating: int
    text: str | None

    @classmethod
    def of(cls, row: Any) -> "Feedback":
        return cls(id=global_id("Feedback", row.id), rating=row.rating, text=row.feedback_text)


@strawberry.type
class Message:
    id: strawberry.ID
    role: str
    content: str
    created_at: datetime
    row: strawberry.Private[Any]

    @classmethod
    def of(cls, row: Any) -> "Message":
        return cls(
            id=global_id("Message", row.id), role=row.role, content=row.content, created_at=row.created_at, row=row
        )

    @strawberry.field
    def sources(self) -> list[SourceRef]:
        return [SourceRef(kind=each["kind"], title=each.get("title")) for each in self.row.sources or []]

    @strawberry.field
    async def my_feedback(self, info: Info) -> Feedback | None:
        found = await info.context.my_feedback.load(self.row.id)
        return Feedback.of(found) if found else None


@strawberry.type
class Conversation:
    id: strawberry.ID
    title: str | None
    updated_at: datetime
    message_count: int
    database_id: strawberry.Private[str]

    @classmethod
    def of(cls, row: Any) -> "Conversation":
        return cls(
            id=global_id("Conversation", row.id), title=row.title, updated_at=row.updated_at, message_count=row.message_count,
            database_id=row.id,
        )  # fmt: skip

    @strawberry.field
    async def messages(self, info: Info, first: int | None = None, last: int | None = None) -> Connection[Message]:
        size, is_last = last or first or 20, last is not None
        rows = await info.context.messages(size, is_last=is_last).load(self.database_id)
        return Connection(**edges_of(rows, Message.of, "created_at", size, is_last=is_last))


@strawberry.type
class Project:
    name: str


@strawberry.type
class Insight:
    id: strawberry.ID
    severity: Severity
    type: str
    title: str
    created_at: datetime
    project_id: strawberry.Private[str | None]

    @classmethod
    def of(cls, row: Any) -> "Insight":
        return cls(
            id=global_id("Insight", row.id), severity=Severity(row.severity), type=row.insight_type, title=row.title,
            created_at=row.created_at, project_id=row.project_id,
        )  # fmt: skip

    @strawberry.field
    async def project(self, info: Info) -> Project | None:
        found = await info.context.projects.load(self.project_id) if self.project_id else None
        return Project(name=found.name) if found else None


@strawberry.type
class User:
    id: strawberry.ID
    display_name: str | None


@strawberry.type
class ToolCall:
    id: strawberry.ID
    tool_name: str
    timestamp: datetime
    ai_confidence: float | None
    row: strawberry.Private[Any]

    @classmethod
    def of(cls, row: Any) -> "ToolCall":
        return cls(
            id=global_id("ToolCall", row.id), tool_name=row.tool_name, timestamp=row.timestamp, ai_confidence=row.ai_confidence,
            row=row,
        )  # fmt: skip

    @strawberry.field
    async def status(self, info: Info) -> str:
        found = await info.context.outcomes.load((self.row.id, self.row.created_at))
        return found.status if found else "PENDING"

    @strawberry.field
    async def completed_at(self, info: Info) -> datetime | None:
        found = await info.context.outcomes.load((self.row.id, self.row.created_at))
        return found.completed_at if found else None

    @strawberry.field
    async def user(self, info: Info) -> User | None:
        found = await info.context.users.load(self.row.user_id)
        return User(id=global_id("User", found.id), display_name=found.display_name) if found else None
