"""Budget categories: what costs and learned patterns are sorted by."""

import strawberry

from api.child_pages import to_many
from api.connection import Connection, Listing, Order
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

    patterns: Connection[Pattern] = to_many(
        lambda: pattern.LISTING, "category_id", description="What was learned about it, last calculated first."
    )


SOURCE: Source[Category] = Source(Category, T, {"database_id": T.c.id, "name": T.c.name})
LISTING = Listing(SOURCE, Order("name", T.c.name, is_descending=False, kind=str))
