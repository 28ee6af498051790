"""Searching documents: by meaning, by words, or both, with what was done said in the answer."""

from typing import Annotated

import strawberry

from api.connection import MAX_PAGE, After, First, Page, PageInfo
from api.context import Context, Info
from api.entities import document, organization
from api.entities.references import DocumentChunk
from api.enums import described
from api.errors import BadUserInputError
from api.filters import MAX_VALUES, present
from api.loaders import by_ids
from api.node import id_of
from api.paging import readable
from api.permissions import reads
from api.scalars import Vector
from db import search
from db.types import ContentType

described(
    "How documents are searched.",
    name="SearchMode",
    SEMANTIC="By the meaning of the text or by the given vector.",
    FULL_TEXT="By words.",
    HYBRID="By both; the two orders are fused.",
)(search.Mode)


@strawberry.type(description="A found piece and why it was found.")
class DocumentSearchEdge:
    node: DocumentChunk = strawberry.field(description="The piece.")
    score: float = strawberry.field(
        description="SEMANTIC: cosine similarity, -1 to 1. FULL_TEXT and HYBRID: 0 to 1. Comparable within one search."
    )
    semantic_rank: int | None = strawberry.field(description="Its place by meaning, from 1.")
    text_rank: int | None = strawberry.field(description="Its place by words, from 1.")
    highlight: str | None = strawberry.field(description="Where the words stand, each between « and »; plain text.")
    position: strawberry.Private[int]
    page: strawberry.Private[search.Page]

    @strawberry.field(description="Its place, for `after`.")
    def cursor(self) -> str:
        return self.page.cursor(self.position)


@strawberry.type(description="A page of what was found: at most 50 pieces over all pages.")
class DocumentSearchConnection:
    edges: list[DocumentSearchEdge] = strawberry.field(description="The page's pieces, best first.")
    mode: search.Mode = strawberry.field(
        description="What was done: a text without an embedder falls back to FULL_TEXT."
    )
    approximate: bool = strawberry.field(description="Whether an index was asked that may miss one.")
    model: str | None = strawberry.field(description="The model of the vectors that were compared.")
    page: strawberry.Private[search.Page]

    @strawberry.field(description="Where the page lies in the list.")
    def page_info(self) -> PageInfo:
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            cursor_at=lambda at: self.edges[at].cursor() if self.edges else None,
        )


@strawberry.input(description="What to search for: a text, an embedding or both.")
class DocumentSearchInput:
    text: str | None = strawberry.field(
        default=strawberry.UNSET, description="A question or words, at most 2,000 characters."
    )
    embedding: Vector | None = strawberry.field(
        default=strawberry.UNSET, description="A vector of the organization's model."
    )
    model: str | None = strawberry.field(
        default=strawberry.UNSET, description="The model of the embedding; the organization's if not given."
    )
    mode: search.Mode | None = strawberry.field(
        default=strawberry.UNSET, description="How to search; HYBRID with a text, else SEMANTIC, if not given."
    )
    content_type: list[ContentType] | None = strawberry.field(
        default=strawberry.UNSET, description="About one of these."
    )
    project_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="In documents of this project."
    )
    document_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="In these documents, at most 100."
    )
    min_score: float | None = strawberry.field(
        default=strawberry.UNSET, description="Only pieces with at least this score."
    )

    def request(self) -> search.SearchRequest:
        """The request with ids decoded. Raises BadUserInputError."""
        types, documents = present(self.content_type), present(self.document_ids)
        if documents is not None and len(documents) > MAX_VALUES:
            raise BadUserInputError(f"`documentIds` takes at most {MAX_VALUES} ids.", argument="documentIds")
        if types is not None and len(types) > MAX_VALUES:
            raise BadUserInputError(f"`contentType` takes at most {MAX_VALUES} values.", argument="contentType")
        project_id = present(self.project_id)
        scope = search.Scope(
            content_types=None if types is None else tuple(each.value for each in types),
            project_id=None if project_id is None else id_of(project_id, "Project", "projectId"),
            document_ids=None
            if documents is None
            else tuple(id_of(each, "Document", "documentIds") for each in documents),
        )
        return search.SearchRequest(
            text=present(self.text),
            embedding=present(self.embedding),
            model=present(self.model),
            mode=present(self.mode),
            scope=scope,
            min_score=present(self.min_score),
        )


@strawberry.type
class SearchQuery:
    @strawberry.field(
        description="Find pieces of documents, best first.", metadata=reads(lambda: (document.CHUNK_SOURCE,))
    )
    async def search_documents(
        self,
        info: Info,
        input: Annotated[DocumentSearchInput, strawberry.argument(description="What to search for.")],
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
    ) -> DocumentSearchConnection | None:
        readable(info.context, document.CHUNK_SOURCE)
        size = Page.of(first, None, None, None).size
        try:
            return await _found(info.context, input.request(), min(size, MAX_PAGE), present(after))
        except search.SearchInputError as error:
            raise BadUserInputError(f"`{error.argument}`: {error.message}.", argument=error.argument) from None


async def _found(
    context: Context, request: search.SearchRequest, size: int, after: str | None
) -> DocumentSearchConnection:
    model = (await organization.current(context)).embedding_model
    plan = search.plan(request, organization_model=model, embedder=context.embedder)
    page = await search.page(
        context.session,
        plan,
        organization_id=context.actor.organization_id,
        embedder=context.embedder,
        first=size,
        after=after,
    )
    chunks = await by_ids(context, document.CHUNK_SOURCE, [found.hit.id for found in page.found])
    return DocumentSearchConnection(
        edges=[
            _edge(page, position, found, chunk)
            for position, (found, chunk) in enumerate(zip(page.found, chunks, strict=True))
            if chunk is not None
        ],
        mode=page.mode,
        approximate=page.approximate,
        model=page.model,
        page=page,
    )


def _edge(page: search.Page, position: int, found: search.Found, chunk: DocumentChunk) -> DocumentSearchEdge:
    return DocumentSearchEdge(
        node=chunk,
        score=found.hit.score,
        semantic_rank=found.hit.semantic_rank,
        text_rank=found.hit.text_rank,
        highlight=found.highlight,
        position=position,
        page=page,
    )
