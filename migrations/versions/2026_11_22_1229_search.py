"""Candidates of full-text search.

Locks: new objects only; nothing waits.
"""

from db.migrate import execute_text

revision = "0030_search"
down_revision = "0029_provider_keys"
branch_labels = None
depends_on = None

UPGRADE = r"""
-- Owns: the candidates of full-text search.
-- Runs AFTER the tables, as minutebook_owner.
-- Decision: @@ is not leakproof, so a policy would hide the GIN index. app_finder reads a few columns USING (true) and
-- this function repeats the whole scope; callers join the ids back to the table under their own policies.

GRANT USAGE, CREATE ON SCHEMA app TO app_finder;
SET LOCAL ROLE app_finder;

-- Chunk ids of the context organization, best first, at most max_rows. A filter of NULL does not filter; only_model
-- keeps the chunks of that model and those without one. All of the words must match; when no chunk has them all, any
-- of them will do (people ask whole questions). Nothing but stop words, or only exclusions: no rows.
CREATE OR REPLACE FUNCTION app.search_chunks_text(
    query text, max_rows int, content_types text[] DEFAULT NULL, project_ids uuid[] DEFAULT NULL,
    document_ids uuid[] DEFAULT NULL, only_model text DEFAULT NULL
) RETURNS TABLE (id uuid, rank real)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET row_security = on
    AS $body$
#variable_conflict use_column
DECLARE
    organization CONSTANT uuid := app.required_organization();
    all_words CONSTANT tsquery := websearch_to_tsquery('pg_catalog.english', coalesce(query, ''));
    any_word CONSTANT tsquery := (
        SELECT string_agg('''' || replace(replace(w, '\', '\\'), '''', '''''') || '''', ' | ')
        FROM unnest(tsvector_to_array(to_tsvector('pg_catalog.english', coalesce(query, '')))) AS w
    )::tsquery;
    wanted tsquery;
BEGIN
    IF querytree(all_words) IN ('', 'T') THEN
        RETURN;
    END IF;
    FOREACH wanted IN ARRAY ARRAY[all_words, any_word] LOOP
        RETURN QUERY
            SELECT c.id, ts_rank_cd(c.tsv, wanted)
            FROM app.document_embeddings AS c
            WHERE c.organization_id = organization AND c.tsv @@ wanted
                AND (document_ids IS NULL OR c.document_id = ANY (document_ids))
                AND (only_model IS NULL OR c.model = only_model OR c.model IS NULL)
                AND (content_types IS NULL AND project_ids IS NULL OR EXISTS (
                    SELECT FROM app.documents AS d
                    WHERE d.organization_id = organization AND d.id = c.document_id
                        AND (content_types IS NULL OR d.content_type = ANY (content_types))
                        AND (project_ids IS NULL OR d.project_id = ANY (project_ids))
                ))
            ORDER BY ts_rank_cd(c.tsv, wanted) DESC, c.id
            LIMIT max_rows;
        -- An exclusion ("-steel") must not be lost by the looser form.
        EXIT WHEN FOUND OR all_words::text ~ '!''';
    END LOOP;
END
$body$;

REVOKE ALL ON FUNCTION app.search_chunks_text(text, int, text[], uuid[], uuid[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.search_chunks_text(text, int, text[], uuid[], uuid[], text)
    TO app_member, app_observer, app_admin, app_service;

SET LOCAL ROLE minutebook_owner;
REVOKE CREATE ON SCHEMA app FROM app_finder;
"""

DOWNGRADE = r"""
DROP FUNCTION app.search_chunks_text(text, integer, text[], uuid[], uuid[], text);
"""


def upgrade() -> None:
    execute_text(UPGRADE)


def downgrade() -> None:
    execute_text(DOWNGRADE)
