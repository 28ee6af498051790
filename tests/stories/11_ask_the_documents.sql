-- alice: 8 data statements
/* app_member */ SELECT app.organizations.id AS wanted_key, app.organizations.id AS database_id, app.organizations.slug AS slug, app.organizations.name AS name, app.organizations.kind AS kind, app.organizations.timezone AS timezone, app.organizations.created_at AS created_at, app.organizations.updated_at AS updated_at, app.organizations.embedding_model AS embedding_model 
FROM app.organizations 
WHERE app.organizations.id = $1::UUID AND app.organizations.id = $2::UUID;
/* app_member */ SELECT count(*) FROM (SELECT FROM app.document_embeddings e WHERE e.organization_id = $1 AND e.model = 'all-MiniLM-L6-v2' AND e.embedding IS NOT NULL LIMIT $2) counted;
/* app_member */ WITH candidate AS MATERIALIZED (SELECT e.id, (e.embedding::ext.vector(384)) OPERATOR(ext.<=>) (SELECT $2::text::ext.vector(384)) AS distance FROM app.document_embeddings e WHERE e.organization_id = $1 AND e.model = 'all-MiniLM-L6-v2' AND e.embedding IS NOT NULL) SELECT id, distance FROM candidate ORDER BY distance, id LIMIT $3;
/* app_member */ SELECT e.id, found.rank FROM app.search_chunks_text($2, $3, $4, $5, $6, $7) AS found JOIN app.document_embeddings e ON e.organization_id = $1 AND e.id = found.id ORDER BY found.rank DESC, e.id;
/* app_member */ SELECT e.id, CASE WHEN e.tsv @@ asked.query THEN ts_headline('pg_catalog.english',
    translate(e.chunk_text, '«»', U&'\2039\203A'), asked.query, 'StartSel=«, StopSel=», MaxFragments=2, MinWords=8, MaxWords=25, ShortWord=0, FragmentDelimiter= … ') END AS highlight
FROM app.document_embeddings e, (
    SELECT string_agg('''' || replace(replace(word, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery AS query
    FROM unnest(tsvector_to_array(to_tsvector('pg_catalog.english', $3::text))) AS word
) asked
WHERE e.organization_id = $1 AND e.id = ANY($2::uuid[]);
/* app_member */ SELECT app.document_embeddings.id AS wanted_key, app.document_embeddings.id AS database_id, app.document_embeddings.chunk_index AS chunk_index, app.document_embeddings.chunk_text AS text, app.document_embeddings.model AS model, app.document_embeddings.dimensions AS dimensions, app.document_embeddings.embedding IS NOT NULL AS is_embedded, app.document_embeddings.created_at AS created_at, app.document_embeddings.document_id AS document_id 
FROM app.document_embeddings 
WHERE app.document_embeddings.organization_id = $1::UUID AND app.document_embeddings.id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[]));
/* app_member */ SELECT app.documents.id AS wanted_key, app.documents.id AS database_id, app.documents.title AS title, app.documents.content_type AS content_type, app.documents.content_id AS content_id, app.documents.metadata AS metadata, app.documents.created_at AS created_at, app.documents.updated_at AS updated_at, app.documents.project_id AS project_id 
FROM app.documents 
WHERE app.documents.organization_id = $1::UUID AND app.documents.id = $2::UUID;
/* app_member */ SELECT middle.id AS key, app.document_embeddings.id AS database_id, app.document_embeddings.chunk_index AS chunk_index, app.document_embeddings.chunk_text AS text, app.document_embeddings.model AS model, app.document_embeddings.dimensions AS dimensions, app.document_embeddings.embedding IS NOT NULL AS is_embedded, app.document_embeddings.created_at AS created_at, app.document_embeddings.document_id AS document_id 
FROM app.document_embeddings, app.document_embeddings AS middle 
WHERE app.document_embeddings.organization_id = $1::UUID AND middle.organization_id = $1::UUID AND middle.id = ANY (CAST((SELECT $2::UUID[] AS anon_1) AS UUID[])) AND app.document_embeddings.document_id = middle.document_id AND app.document_embeddings.model IS NOT DISTINCT FROM middle.model AND app.document_embeddings.id != middle.id AND app.document_embeddings.chunk_index - middle.chunk_index BETWEEN -$3::INTEGER AND $4::INTEGER ORDER BY app.document_embeddings.chunk_index;
