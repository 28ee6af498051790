"""Documents and their chunks: what the assistant knows, in the pieces in which it is found."""

from typing import Annotated, Any

import strawberry
from sqlalchemy import Select, any_, bindparam

from api.child_pages import to_many
from api.connection import After, Before, Connection, First, Last, Listing, Order, Page
from api.context import Context, Info
from api.entities import project
from api.entities.references import Project
from api.errors import BadUserInputError
from api.execution import batched
from api.filters import StringFilter, Where, present
from api.loader import Batch
from api.loaders import to_one, uuids
from api.node import Node, Source
from api.paging import root_page
from api.scalars import JSON, UUID, DateTime
from db import mirror, models
from db.types import ContentType

T = models.table(models.Document)
K = models.table(models.DocumentChunk)

MAX_NEIGHBORS = 10


@strawberry.type(description="A document, or a thing of the product that is searched like one.")
class Document(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    title: str = strawberry.field(description="Its title.")
    content_type: ContentType = strawberry.field(description="What it is about.")
    content_id: UUID | None = strawberry.field(description="The product's own id of the thing.")
    metadata: JSON | None = strawberry.field(description="What the product keeps with it.")
    created_at: DateTime = strawberry.field(description="When it was added.")
    updated_at: DateTime = strawberry.field(description="When it last changed.")
    project_id: strawberry.Private[str | None]

    project: Project | None = to_one(
        lambda: project.SOURCE, "project_id", description="The project that it belongs to."
    )

    chunks: "Connection[DocumentChunk] | None" = to_many(
        lambda: CHUNKS, "document_id", description="Its pieces in order; null for who may not read them."
    )


@strawberry.type(description="A piece of a document, embedded by one model.")
class DocumentChunk(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    chunk_index: int = strawberry.field(description="Its place in the document, from 0.")
    text: str = strawberry.field(description="Its text.")
    model: str | None = strawberry.field(description="The model of its embedding.")
    dimensions: int | None = strawberry.field(description="The length of its embedding.")
    is_embedded: bool = strawberry.field(description="Whether it has an embedding.")
    created_at: DateTime = strawberry.field(description="When it was added.")
    document_id: strawberry.Private[str]

    document: Document = to_one(lambda: SOURCE, "document_id", description="The document that it is a piece of.")

    @strawberry.field(description="The pieces around it in the same document, in order, without itself.")
    @batched
    @staticmethod
    async def neighbors(
        parents: list["DocumentChunk"],
        info: Info,
        before: Annotated[
            int | None, strawberry.argument(description="How many before it, 0 to 10; 1 if not given.")
        ] = strawberry.UNSET,
        after: Annotated[
            int | None, strawberry.argument(description="How many after it, 0 to 10; 1 if not given.")
        ] = strawberry.UNSET,
    ) -> list[list["DocumentChunk"]]:
        reach = _reach(before, "before"), _reach(after, "after")
        loader = info.context.loader(("neighbors", *reach), lambda: _neighbors(info.context, *reach))
        return await loader.load_all([each.database_id for each in parents])


def _reach(given: int | None, argument: str) -> int:
    reach = present(given)
    if reach is None:
        return 1
    if not 0 <= reach <= MAX_NEIGHBORS:
        raise BadUserInputError(f"`{argument}` must be between 0 and {MAX_NEIGHBORS}.", argument=argument)
    return int(reach)


def _neighbors(context: Context, before: int, after: int) -> Batch:
    middle = K.alias("middle")

    def build() -> Select[Any]:
        role = context.actor.role
        distance = K.c.chunk_index - middle.c.chunk_index
        tests = (
            mirror.where(role, middle),
            middle.c.id == any_(uuids("keys")),
            K.c.document_id == middle.c.document_id,
            K.c.model.is_not_distinct_from(middle.c.model),
            K.c.id != middle.c.id,
            distance.between(
                -bindparam("before", type_=K.c.chunk_index.type), bindparam("after", type_=K.c.chunk_index.type)
            ),
        )
        return CHUNK_SOURCE.select(role, middle.c.id.label("key")).where(*tests).order_by(K.c.chunk_index)

    async def load(keys: list[str]) -> list[list[DocumentChunk]]:
        found: dict[str, list[DocumentChunk]] = {key: [] for key in keys}
        rows = await context.session.fetch("neighbors", build, keys=keys, before=before, after=after)
        for row, chunk in zip(rows, CHUNK_SOURCE.build_all(rows), strict=True):
            found[row["key"]].append(chunk)
        return [found[key] for key in keys]

    return load


@strawberry.input(description="Narrows documents. Every part that is given must hold.")
class DocumentFilter:
    project_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Of this project.")
    content_type: list[ContentType] | None = strawberry.field(
        default=strawberry.UNSET, description="About one of these."
    )
    title: StringFilter | None = strawberry.field(default=strawberry.UNSET, description="With such a title.")

    def where(self) -> Where:
        """The clauses of this filter."""
        where = Where()
        where.identified(T.c.project_id, "projectId", present(self.project_id), "Project")
        where.one_of(T.c.content_type, "contentType", present(self.content_type))
        where.text(T.c.title, "title", self.title)
        return where


@strawberry.type
class DocumentQuery:
    @strawberry.field(description="The organization's documents, latest first.")
    async def documents(
        self,
        info: Info,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
        filter: Annotated[
            DocumentFilter | None, strawberry.argument(description="Which documents.")
        ] = strawberry.UNSET,
    ) -> Connection[Document] | None:
        where = filter.where() if filter else Where()
        return await root_page(info, Connection, LISTING, Page.of(first, after, last, before), where)


SOURCE: Source[Document] = Source(
    Document,
    T,
    {
        "database_id": T.c.id,
        "title": T.c.title,
        "content_type": T.c.content_type,
        "content_id": T.c.content_id,
        "metadata": T.c.metadata,
        "created_at": T.c.created_at,
        "updated_at": T.c.updated_at,
        "project_id": T.c.project_id,
    },
)
LISTING: Listing[Document] = Listing(SOURCE, Order("created_at", T.c.created_at))

CHUNK_SOURCE = Source(
    DocumentChunk,
    K,
    {
        "database_id": K.c.id,
        "chunk_index": K.c.chunk_index,
        "text": K.c.chunk_text,
        "model": K.c.model,
        "dimensions": K.c.dimensions,
        "is_embedded": K.c.embedding.is_not(None),
        "created_at": K.c.created_at,
        "document_id": K.c.document_id,
    },
)
CHUNKS: Listing[DocumentChunk] = Listing(
    CHUNK_SOURCE, Order("chunk_index", K.c.chunk_index, is_descending=False, kind=int)
)
SOURCES = (SOURCE, CHUNK_SOURCE)
