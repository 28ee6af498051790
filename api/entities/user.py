"""Users: the people of an organization. Everybody in it may see who they are."""

import strawberry

from api.child_pages import child_pages
from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.entities import ai_settings, tool_call
from api.entities.references import AiSettings, ToolCall
from api.execution import batched
from api.loaders import to_one
from api.node import Node, Source
from api.scalars import UUID, DateTime
from db import models
from db.types import Role

T = models.table(models.User)


@strawberry.type(description="A person of an organization.")
class User(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    display_name: str | None = strawberry.field(description="The name to show; null once erased.")
    role: Role | None = strawberry.field(description="What the person is inside its organization.")
    is_erased: bool = strawberry.field(description="Whether the person was erased; the records of it stay.")
    created_at: DateTime = strawberry.field(description="When the person joined.")

    ai_settings: AiSettings | None = to_one(
        lambda: ai_settings.SOURCE,
        "database_id",
        description="The person's AI settings; null where the viewer may not see them.",
    )

    @strawberry.field(description="The tools that were called for the person, latest first.")
    @batched
    @staticmethod
    async def tool_calls(
        parents: list["User"],
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: "tool_call.FilterArgument" = strawberry.UNSET,
    ) -> list[Connection[ToolCall] | None]:
        where = tool_call.where_of(filter or None, info.context.now)
        page = Page.of(first, after, last, before)
        by = tool_call.T.c.user_id
        return await child_pages(info, Connection, tool_call.LISTING, by, parents, page, where)


SOURCE = Source(
    User,
    T,
    {
        "database_id": T.c.id,
        "display_name": T.c.display_name,
        "role": T.c.role,
        "is_erased": T.c.erased_at.is_not(None),
        "created_at": T.c.created_at,
    },
)
LISTING = Listing(SOURCE, Order("created_at", T.c.created_at, is_descending=False))
