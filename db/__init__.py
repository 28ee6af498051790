"""The data: models, policies, statements, sessions. Imports neither the wire (`api`) nor its libraries."""
