"""The audit chain beyond one transaction: signed checkpoints, and exports for the offline verifier.

Events are appended by `app.audit_append` (db/sql/audit.sql); this is the operator's part.
"""
