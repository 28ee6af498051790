"""Documents and their chunks, with the vectors and words that search reads.

The vector column has no dimension: each chunk says its model and dimension, and a model worth an index has one of its
own (`EMBEDDING_MODELS`). Padding to one dimension made the table nine times as large.
"""

from sqlalchemy import CheckConstraint, Computed, Index, UniqueConstraint, literal_column, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, key_to, length, not_negative, of_organization, one_of
from db.types import EMBEDDING_MODELS, ContentType, Embedding, Int, Json, KeyUid, RowId, SearchVector, Stamp, Uid


class Document(Base):
    __tablename__ = "documents"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    project_id: Mapped[Uid | None]
    title: Mapped[str]
    content_type: Mapped[str]
    content_id: Mapped[Uid | None]
    metadata_: Mapped[Json | None] = mapped_column("metadata")
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        of_organization(),
        key_to("projects", "project_id"),
        UniqueConstraint("organization_id", "content_type", "content_id"),
        one_of("content_type", ContentType),
        length("title", 500, 1),  # 2,000 bytes at most: a b-tree entry ends at 2,704
    )


class DocumentChunk(Base):
    __tablename__ = "document_embeddings"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    document_id: Mapped[Uid]
    chunk_index: Mapped[Int]
    chunk_text: Mapped[str]
    model: Mapped[str | None]
    dimensions: Mapped[Int | None]
    # Kept in the row: an exact search reads all vectors of an organization, from TOAST it takes five times as long.
    embedding: Mapped[Embedding | None] = mapped_column(info={"storage": "MAIN"})
    tsv: Mapped[SearchVector] = mapped_column(
        TSVECTOR, Computed("to_tsvector('pg_catalog.english'::regconfig, chunk_text)", persisted=True)
    )
    created_at: Mapped[Stamp]

    __table_args__ = (
        key_to("documents", "document_id", is_cascading=True),
        UniqueConstraint("organization_id", "document_id", "model", "chunk_index", postgresql_nulls_not_distinct=True),
        not_negative("chunk_index"),
        length("chunk_text", 100_000, 1),
        # The model's name becomes a literal in the statements that search.
        CheckConstraint("model ~ '^[A-Za-z0-9._:/-]{1,200}$'", name="model"),
        CheckConstraint("embedding IS NULL OR (model IS NOT NULL AND dimensions IS NOT NULL)", name="embedded_by"),
        CheckConstraint("ext.vector_dims(embedding) = dimensions", name="dimensions"),
        # The cosine distance of a zero vector is NaN.
        CheckConstraint("ext.vector_norm(embedding) > 0", name="norm"),
        Index("ix_document_embeddings_tsv", "organization_id", "tsv", postgresql_using="gin"),
        *(
            Index(
                f"ix_document_embeddings_hnsw_{dimensions}",
                literal_column(f"(embedding::ext.vector({dimensions}))").label("vector"),
                postgresql_using="hnsw",
                postgresql_ops={"vector": "ext.vector_cosine_ops"},
                postgresql_where=text(f"model = '{model}'"),
            )
            for model, dimensions in EMBEDDING_MODELS.items()
        ),
    )


Index(None, Document.organization_id, Document.created_at.desc(), Document.id.desc())
Index(None, Document.organization_id, Document.content_type, Document.created_at.desc(), Document.id.desc())
Index(
    None,
    Document.organization_id,
    Document.project_id,
    Document.created_at.desc(),
    Document.id.desc(),
    postgresql_where=Document.project_id.is_not(None),
)
Index("ix_documents_title_c", Document.organization_id, Document.title.collate("C"))
Index(
    None,
    DocumentChunk.organization_id,
    DocumentChunk.document_id,
    DocumentChunk.chunk_index,
    DocumentChunk.id,
)
Index(None, DocumentChunk.organization_id, DocumentChunk.model)
