"""Projects: what conversations, insights and documents are about."""

from typing import ClassVar

import strawberry

from api.child_pages import child_pages, to_many
from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.entities import conversation, document, insight
from api.entities.references import Conversation, Document, InsightConnection
from api.execution import batched
from api.node import Node, Source
from api.scalars import UUID, DateTime
from db import models

T = models.table(models.Project)


@strawberry.type(description="A project of an organization.")
class Project(Node):
    may_have_resolved: ClassVar[bool] = True
    database_id: UUID = strawberry.field(description="The raw id.")
    name: str = strawberry.field(description="Its name.")
    created_at: DateTime = strawberry.field(description="When it was created.")

    @strawberry.field(description="What was noticed about it; without a filter, what is neither dismissed nor expired.")
    @batched
    @staticmethod
    async def insights(
        parents: list["Project"],
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: "insight.FilterArgument" = strawberry.UNSET,
        order_by: "insight.OrderArgument" = strawberry.UNSET,
    ) -> list[InsightConnection]:
        page = Page.of(first, after, last, before)
        return await insight.of_projects(info, parents, page, filter or None, order_by or None)

    @strawberry.field(description="The viewer's conversations about it.")
    @batched
    @staticmethod
    async def conversations(
        parents: list["Project"],
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: "conversation.FilterArgument" = strawberry.UNSET,
        order_by: "conversation.OrderArgument" = strawberry.UNSET,
    ) -> list[Connection[Conversation] | None]:
        where = conversation.where_of(filter or None, info.context.actor.role)
        page = Page.of(first, after, last, before)
        by, order = conversation.T.c.project_id, conversation.order_of(order_by or None)
        return await child_pages(info, Connection, conversation.LISTING, by, parents, page, where, order)

    documents: Connection[Document] = to_many(
        lambda: document.LISTING, "project_id", description="Its documents, latest first."
    )


SOURCE = Source(Project, T, {"database_id": T.c.id, "name": T.c.name, "created_at": T.c.created_at})
LISTING = Listing(SOURCE, Order("name", T.c.name, is_descending=False, kind=str))
