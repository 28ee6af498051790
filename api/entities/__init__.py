"""One file per GraphQL entity: its type, its filter and order, its part of Query."""

# Described before any type makes use of them.
from api import enums as enums

# In this order: they refer to each other, and each finds what it evaluates at import already there.
from api.entities import ai_settings as ai_settings
