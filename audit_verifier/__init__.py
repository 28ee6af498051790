"""Verifies an export of an audit chain offline: this folder, Python ≥ 3.11 and `cryptography` are all it takes.

docs/audit-format.md says what is verified. `python -m audit_verifier FILE --key KEY --checkpoint NOTES`.
"""
