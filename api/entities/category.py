"""Budget categories: what costs and learned patterns are sorted by."""

import strawberry

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page, shared_child_page
from api.context import Info
from api.entities import pattern
from api.entities.references import Pattern
from api.node import Node, Source
from api.scalars import UUID
from db import models

T = models.table(models.Category)


@strawberry.type(description="A budget category of an organization.")
class Category(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    name: str = strawberry.field(description="Its name.")

    @strawberry.field(description="What was learned about it, last calculated first.")
    async def patterns(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
    ) -> Connection[Pattern]:
        page = Page.of(first, after, last, before)
        by = pattern.T.c.category_id
        return await shared_child_page(info, Connection, pattern.LISTING, by, self.database_id, page)


SOURCE = Source(Category, T, {"database_id": T.c.id, "name": T.c.name})
LISTING = Listing(SOURCE, Order("name", T.c.name, is_descending=False, kind=str))
