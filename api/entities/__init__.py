"""One file per GraphQL entity: its type, its filter and order, its part of Query."""

from api import enums

# Imported first: an enum is described before any type makes use of it.
__all__ = ["enums"]
