"""Feedback: what people think of answers. One rating per person and message."""

from dataclasses import replace
from enum import Enum
from typing import Annotated

import strawberry
from sqlalchemy import bindparam

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.entities import message
from api.entities import user as users
from api.entities.references import Message, User
from api.enums import described
from api.filters import DateTimeFilter, Where, present
from api.loaders import to_one
from api.node import Node, Source
from api.paging import root_page
from api.scalars import UUID, DateTime
from db import models

T = models.table(models.Feedback)

RATINGS = {"DOWN": 1, "UP": 5}


@described("A rating.", UP="The answer was good.", DOWN="The answer was not good.")
class Thumb(Enum):
    UP = "UP"
    DOWN = "DOWN"


@strawberry.type(description="What a person thinks of an answer.")
class Feedback(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    rating: int = strawberry.field(description="1 for down, 5 for up.")
    text: str | None = strawberry.field(description="What the person said about it.")
    created_at: DateTime = strawberry.field(description="When it was first given.")
    updated_at: DateTime = strawberry.field(description="When it last changed.")
    message_id: strawberry.Private[str]
    user_id: strawberry.Private[str]

    @strawberry.field(description="Up or down.")
    def thumb(self) -> Thumb:
        return Thumb.UP if self.rating == RATINGS["UP"] else Thumb.DOWN

    message: Message | None = to_one(
        lambda: message.SOURCE,
        "message_id",
        description="The rated answer; null where the viewer may not see it or it was deleted.",
    )

    user: User | None = to_one(lambda: users.SOURCE, "user_id", description="Who gave it.")


@strawberry.input(description="Narrows feedback. Every part that is given must hold.")
class FeedbackFilter:
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Given by this person.")
    thumb: Thumb | None = strawberry.field(default=strawberry.UNSET, description="Up or down.")
    created_at: DateTimeFilter | None = strawberry.field(default=strawberry.UNSET, description="When it was given.")

    def where(self) -> Where:
        """The clauses of this filter."""
        where = Where()
        where.identified(T.c.user_id, "userId", present(self.user_id), "User")
        if thumb := present(self.thumb):
            where.equals(T.c.rating, "rating", RATINGS[thumb.value])
        where.during(T.c.created_at, "createdAt", self.created_at)
        return where


@strawberry.type
class FeedbackQuery:
    @strawberry.field(description="Feedback that the viewer may see, latest first.")
    async def feedback(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: Annotated[FeedbackFilter | None, strawberry.argument(description="Which feedback.")] = strawberry.UNSET,
    ) -> Connection[Feedback] | None:
        where = filter.where() if filter else Where()
        return await root_page(info, Connection, LISTING, Page.of(first, after, last, before), where)


SOURCE = Source(
    Feedback,
    T,
    {
        "database_id": T.c.id,
        "rating": T.c.rating,
        "text": T.c.feedback_text,
        "created_at": T.c.created_at,
        "updated_at": T.c.updated_at,
        "message_id": T.c.message_id,
        "user_id": T.c.user_id,
    },
)
MINE: Source[Feedback] = replace(
    SOURCE, extra=(lambda _role: T.c.user_id == bindparam("user_id", type_=T.c.user_id.type),)
)
LISTING = Listing(SOURCE, Order("created_at", T.c.created_at))
