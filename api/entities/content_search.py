"""Content searches: what people looked for, how much was found, and what they chose from it."""

from datetime import datetime
from typing import Annotated

import strawberry

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.entities import user as users
from api.entities.references import User
from api.filters import DateTimeFilter, Where, present
from api.loaders import to_one
from api.node import Node, Source
from api.paging import root_page
from api.scalars import JSON, UUID, DateTime
from api.windows import list_window
from db import models
from db.types import ContentType

T = models.table(models.ContentSearch)


@strawberry.type(description="A search of content, and what was chosen from its results.")
class ContentSearch(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    query: str = strawberry.field(description="What was searched for.")
    content_type: ContentType = strawberry.field(description="The kind of content that was searched.")
    filters: JSON | None = strawberry.field(description="How the search was narrowed.")
    results_count: int | None = strawberry.field(description="How many results there were.")
    selected_content_id: UUID | None = strawberry.field(description="The product's id of the chosen result.")
    created_at: DateTime = strawberry.field(description="When it was made.")
    user_id: strawberry.Private[str]

    user: User | None = to_one(lambda: users.SOURCE, "user_id", description="Who searched.")


@strawberry.input(description="Narrows searches. Every part that is given must hold.")
class ContentSearchFilter:
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Made by this person.")
    content_type: list[ContentType] | None = strawberry.field(
        default=strawberry.UNSET, description="Of one of these kinds of content."
    )
    selected: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether a result was chosen, or none was."
    )
    created_at: DateTimeFilter | None = strawberry.field(
        default=strawberry.UNSET, description="Made in this range of at most 92 days; the last 92 days if not given."
    )


def where_of(given: ContentSearchFilter | None, now: datetime) -> Where:
    """The clauses of a filter over the last 92 days, or over the range that it names. Raises BadUserInputError."""
    where = Where()
    start, end = list_window(present(given.created_at) if given else None, now, "createdAt")
    where.since(T.c.created_at, "createdAt", start)
    where.before(T.c.created_at, "createdAt", end)
    if given:
        where.identified(T.c.user_id, "userId", present(given.user_id), "User")
        where.one_of(T.c.content_type, "contentType", present(given.content_type))
        if (selected := present(given.selected)) is not None:
            choice = T.c.selected_content_id
            where.add(f"selected {selected}", lambda: choice.is_not(None) if selected else choice.is_(None))
    return where


FilterArgument = Annotated[ContentSearchFilter | None, strawberry.argument(description="Which searches.")]


@strawberry.type
class ContentSearchQuery:
    @strawberry.field(
        description="The searches that the viewer may see, latest first; the last 92 days if no range is given."
    )
    async def content_searches(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: FilterArgument = strawberry.UNSET,
    ) -> Connection[ContentSearch] | None:
        where = where_of(filter or None, info.context.now)
        return await root_page(info, Connection, LISTING, Page.of(first, after, last, before), where)


SOURCE = Source(
    ContentSearch,
    T,
    {
        "database_id": T.c.id,
        "query": T.c.query,
        "content_type": T.c.content_type,
        "filters": T.c.filters,
        "results_count": T.c.results_count,
        "selected_content_id": T.c.selected_content_id,
        "created_at": T.c.created_at,
        "user_id": T.c.user_id,
    },
    is_partitioned=True,
)
LISTING = Listing(SOURCE, Order("created_at", T.c.created_at))
