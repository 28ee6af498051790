"""Patterns: baselines that the assistant learned, against which it notices what is out of the ordinary."""

from typing import Annotated

import strawberry
from sqlalchemy import bindparam

from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Info
from api.entities import category
from api.entities.references import Category
from api.errors import BadUserInputError
from api.filters import Where, present
from api.loaders import to_one
from api.node import Node, Source
from api.paging import root_page
from api.scalars import JSON, UUID, DateTime
from db import models
from db.types import PatternType

T = models.table(models.Pattern)


@strawberry.type(description="A learned baseline.")
class Pattern(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    type: PatternType = strawberry.field(description="What it describes.")
    data: JSON = strawberry.field(description="The figures, such as mean, deviation and sample size.")
    confidence: float | None = strawberry.field(description="How sure it is, from 0 to 1.")
    last_calculated_at: DateTime = strawberry.field(description="When the figures were last calculated.")
    created_at: DateTime = strawberry.field(description="When it was first learned.")
    updated_at: DateTime = strawberry.field(description="When it last changed.")
    category_id: strawberry.Private[str | None]

    category: Category | None = to_one(
        lambda: category.SOURCE,
        "category_id",
        description="The category that it describes; null when it is about all of them.",
    )


@strawberry.input(description="Narrows patterns. Every part that is given must hold.")
class PatternFilter:
    type: list[PatternType] | None = strawberry.field(default=strawberry.UNSET, description="Of one of these types.")
    category_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="About this category.")
    min_confidence: float | None = strawberry.field(
        default=strawberry.UNSET, description="At least this sure, from 0 to 1."
    )

    def where(self) -> Where:
        """The clauses of this filter. Raises BadUserInputError for a confidence outside 0 to 1."""
        where = Where()
        where.one_of(T.c.pattern_type, "type", present(self.type))
        where.identified(T.c.category_id, "categoryId", present(self.category_id), "Category")
        least = present(self.min_confidence)
        if least is not None:
            if not 0 <= least <= 1:
                raise BadUserInputError("`minConfidence` must be between 0 and 1.", argument="minConfidence")
            least_bind = bindparam("minConfidence", type_=T.c.confidence.type)
            where.add("minConfidence", lambda: T.c.confidence >= least_bind, minConfidence=least)
        return where


@strawberry.type
class PatternQuery:
    @strawberry.field(description="What was learned, last calculated first.")
    async def patterns(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: Annotated[PatternFilter | None, strawberry.argument(description="Which patterns.")] = strawberry.UNSET,
    ) -> Connection[Pattern] | None:
        where = filter.where() if filter else Where()
        return await root_page(info, Connection, LISTING, Page.of(first, after, last, before), where)


SOURCE = Source(
    Pattern,
    T,
    {
        "database_id": T.c.id,
        "type": T.c.pattern_type,
        "data": T.c.pattern_data,
        "confidence": T.c.confidence,
        "last_calculated_at": T.c.last_calculated_at,
        "created_at": T.c.created_at,
        "updated_at": T.c.updated_at,
        "category_id": T.c.category_id,
    },
)
LISTING = Listing(SOURCE, Order("last_calculated_at", T.c.last_calculated_at))
