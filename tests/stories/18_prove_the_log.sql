-- dave: 2 data statements
/* app_auditor */ SELECT min(app.audit_events.seq) AS min_1, max(app.audit_events.seq) AS max_1 
FROM app.audit_events 
WHERE app.audit_events.organization_id = $1::UUID;
/* app_auditor */ SELECT found.verdict, coalesce(found.checked, $1::INTEGER) AS checked, coalesce(found.from_seq, $2::INTEGER) AS from_seq, coalesce(found.to_seq, $3::INTEGER) AS to_seq, encode(found.head_hash, 'hex') AS head_hash, found.first_broken_seq, found.reason, (SELECT app.audit_checkpoints.note 
FROM app.audit_checkpoints 
WHERE app.audit_checkpoints.organization_id = $4::UUID AND app.audit_checkpoints.tree_size <= coalesce(found.to_seq, $5::INTEGER) ORDER BY app.audit_checkpoints.tree_size DESC 
 LIMIT $6::INTEGER) AS checkpoint 
FROM app.verify_audit_chain($7::BIGINT, $8::BIGINT) AS found(verdict, checked, from_seq, to_seq, head_hash, first_broken_seq, reason);

-- dave, from 1 to 9: 1 data statements
/* app_auditor */ SELECT found.verdict, coalesce(found.checked, $1::INTEGER) AS checked, coalesce(found.from_seq, $2::INTEGER) AS from_seq, coalesce(found.to_seq, $3::INTEGER) AS to_seq, encode(found.head_hash, 'hex') AS head_hash, found.first_broken_seq, found.reason, (SELECT app.audit_checkpoints.note 
FROM app.audit_checkpoints 
WHERE app.audit_checkpoints.organization_id = $4::UUID AND app.audit_checkpoints.tree_size <= coalesce(found.to_seq, $5::INTEGER) ORDER BY app.audit_checkpoints.tree_size DESC 
 LIMIT $6::INTEGER) AS checkpoint 
FROM app.verify_audit_chain($7::BIGINT, $8::BIGINT) AS found(verdict, checked, from_seq, to_seq, head_hash, first_broken_seq, reason);
