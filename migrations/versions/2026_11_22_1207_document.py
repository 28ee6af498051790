"""Documents and their embedded chunks.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0008_document"
down_revision = "0007_category"
branch_labels = None
depends_on = None

UPGRADE = r"""
CREATE TABLE app.documents (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    project_id UUID,
    title TEXT NOT NULL,
    content_type TEXT NOT NULL,
    content_id UUID,
    metadata JSONB,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_documents PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_documents_organization_id FOREIGN KEY(organization_id) REFERENCES app.organizations (id),
    CONSTRAINT fk_documents_project_id FOREIGN KEY(organization_id, project_id) REFERENCES app.projects (organization_id, id),
    CONSTRAINT uq_documents_content_type_content_id UNIQUE (organization_id, content_type, content_id),
    CONSTRAINT ck_documents_content_type CHECK (content_type IN ('DOCUMENT', 'ROUTE', 'LEARNING_PATH', 'EXERCISE', 'SCHOOL', 'EVENT', 'INSTRUCTOR')),
    CONSTRAINT ck_documents_title_length CHECK (char_length(title) BETWEEN 1 AND 500)
);
CREATE INDEX ix_documents_content_type_created_at_id
    ON app.documents (organization_id, content_type, created_at DESC, id DESC);
CREATE INDEX ix_documents_created_at_id
    ON app.documents (organization_id, created_at DESC, id DESC);
CREATE INDEX ix_documents_project_id_created_at_id
    ON app.documents (organization_id, project_id, created_at DESC, id DESC)
    WHERE project_id IS NOT NULL;
CREATE INDEX ix_documents_title_c
    ON app.documents (organization_id, (title COLLATE "C"));
ALTER TABLE app.documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.documents FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.documents');
CREATE POLICY documents_select_member ON app.documents
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY documents_select_observer ON app.documents
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY documents_select_admin ON app.documents
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY documents_select_auditor ON app.documents
    FOR SELECT TO app_auditor
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY documents_select_service ON app.documents
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY documents_insert_service ON app.documents
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY documents_update_service ON app.documents
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY documents_select_finder ON app.documents
    FOR SELECT TO app_finder
    USING (true);
CREATE POLICY documents_select_operator ON app.documents
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY documents_insert_operator ON app.documents
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY documents_update_operator ON app.documents
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY documents_delete_operator ON app.documents
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.documents TO app_member;
GRANT SELECT ON app.documents TO app_observer;
GRANT SELECT ON app.documents TO app_admin;
GRANT SELECT ON app.documents TO app_auditor;
GRANT SELECT ON app.documents TO app_service;
GRANT INSERT (organization_id, id, project_id, title, content_type, content_id, metadata) ON app.documents TO app_service;
GRANT UPDATE (project_id, title, content_type, content_id, metadata) ON app.documents TO app_service;
GRANT SELECT (organization_id, id, project_id, content_type) ON app.documents TO app_finder;
GRANT SELECT ON app.documents TO minutebook_operator;
GRANT INSERT ON app.documents TO minutebook_operator;
GRANT UPDATE ON app.documents TO minutebook_operator;
GRANT DELETE ON app.documents TO minutebook_operator;

CREATE TABLE app.document_embeddings (
    organization_id UUID NOT NULL,
    id UUID DEFAULT app.uuidv7() NOT NULL,
    document_id UUID NOT NULL,
    chunk_index INTEGER NOT NULL,
    chunk_text TEXT NOT NULL,
    model TEXT,
    dimensions INTEGER,
    embedding ext.vector,
    tsv TSVECTOR GENERATED ALWAYS AS (to_tsvector('pg_catalog.english'::regconfig, chunk_text)) STORED NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_document_embeddings PRIMARY KEY (organization_id, id),
    CONSTRAINT fk_document_embeddings_document_id FOREIGN KEY(organization_id, document_id) REFERENCES app.documents (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_document_embeddings_document_id_model_chunk_index UNIQUE NULLS NOT DISTINCT (organization_id, document_id, model, chunk_index),
    CONSTRAINT ck_document_embeddings_not_negative CHECK (chunk_index >= 0),
    CONSTRAINT ck_document_embeddings_chunk_text_length CHECK (char_length(chunk_text) BETWEEN 1 AND 100000),
    CONSTRAINT ck_document_embeddings_model CHECK (model ~ '^[A-Za-z0-9._:/-]{1,200}$'),
    CONSTRAINT ck_document_embeddings_embedded_by CHECK (embedding IS NULL OR (model IS NOT NULL AND dimensions IS NOT NULL)),
    CONSTRAINT ck_document_embeddings_dimensions CHECK (ext.vector_dims(embedding) = dimensions),
    CONSTRAINT ck_document_embeddings_norm CHECK (ext.vector_norm(embedding) > 0)
);
ALTER TABLE app.document_embeddings ALTER COLUMN embedding SET STORAGE MAIN;
CREATE INDEX ix_document_embeddings_document_id_chunk_index_id
    ON app.document_embeddings (organization_id, document_id, chunk_index, id);
CREATE INDEX ix_document_embeddings_hnsw_1536
    ON app.document_embeddings USING hnsw ((embedding::ext.vector(1536)) ext.vector_cosine_ops)
    WHERE model = 'text-embedding-ada-002';
CREATE INDEX ix_document_embeddings_hnsw_384
    ON app.document_embeddings USING hnsw ((embedding::ext.vector(384)) ext.vector_cosine_ops)
    WHERE model = 'all-MiniLM-L6-v2';
CREATE INDEX ix_document_embeddings_model
    ON app.document_embeddings (organization_id, model);
CREATE INDEX ix_document_embeddings_tsv
    ON app.document_embeddings USING gin (organization_id, tsv);
ALTER TABLE app.document_embeddings ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.document_embeddings FORCE ROW LEVEL SECURITY;
SELECT app.distribute('app.document_embeddings');
CREATE POLICY document_embeddings_select_member ON app.document_embeddings
    FOR SELECT TO app_member
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY document_embeddings_select_observer ON app.document_embeddings
    FOR SELECT TO app_observer
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY document_embeddings_select_service ON app.document_embeddings
    FOR SELECT TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY document_embeddings_insert_service ON app.document_embeddings
    FOR INSERT TO app_service
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY document_embeddings_update_service ON app.document_embeddings
    FOR UPDATE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY document_embeddings_delete_service ON app.document_embeddings
    FOR DELETE TO app_service
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY document_embeddings_select_finder ON app.document_embeddings
    FOR SELECT TO app_finder
    USING (true);
CREATE POLICY document_embeddings_select_admin ON app.document_embeddings
    FOR SELECT TO app_admin
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::uuid);
CREATE POLICY document_embeddings_select_operator ON app.document_embeddings
    FOR SELECT TO minutebook_operator
    USING (true);
CREATE POLICY document_embeddings_insert_operator ON app.document_embeddings
    FOR INSERT TO minutebook_operator
    WITH CHECK (true);
CREATE POLICY document_embeddings_update_operator ON app.document_embeddings
    FOR UPDATE TO minutebook_operator
    USING (true)
    WITH CHECK (true);
CREATE POLICY document_embeddings_delete_operator ON app.document_embeddings
    FOR DELETE TO minutebook_operator
    USING (true);
GRANT SELECT ON app.document_embeddings TO app_member;
GRANT SELECT ON app.document_embeddings TO app_observer;
GRANT SELECT ON app.document_embeddings TO app_service;
GRANT INSERT (organization_id, id, document_id, chunk_index, chunk_text, model, dimensions, embedding) ON app.document_embeddings TO app_service;
GRANT UPDATE (document_id, chunk_index, chunk_text, model, dimensions, embedding) ON app.document_embeddings TO app_service;
GRANT DELETE ON app.document_embeddings TO app_service;
GRANT SELECT (organization_id, id, document_id, model, tsv) ON app.document_embeddings TO app_finder;
GRANT SELECT ON app.document_embeddings TO app_admin;
GRANT SELECT ON app.document_embeddings TO minutebook_operator;
GRANT INSERT ON app.document_embeddings TO minutebook_operator;
GRANT UPDATE ON app.document_embeddings TO minutebook_operator;
GRANT DELETE ON app.document_embeddings TO minutebook_operator;
"""

DOWNGRADE = r"""
DROP TABLE app.document_embeddings;
DROP TABLE app.documents;
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
