"""What a document, an operation and a request may cost, as plain numbers; `api.settings` reads them from the environment.

Every class that refuses something takes this object, so that a test can set one number and leave the rest.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes are bytes unless the name says characters; times are seconds."""

    document_chars: int = 32_768
    tokens: int = 2_000
    comments: int = 1_000
    depth: int = 14
    introspection_depth: int = 20
    aliases: int = 30
    root_fields: int = 20
    repeats: int = 10
    """One response name within one merged selection set and type condition."""
    repeats_over_types: int = 40
    """The same over all type conditions: what a selection on every type of a union needs."""
    directives: int = 20
    list_items: int = 100
    vector_items: int = 4_096
    """A list literal of numbers alone is an embedding."""
    number_chars: int = 64
    cost: int = 5_000
    introspection_cost: int = 250_000
    page: int = 100
    page_default: int = 20
    list_default: int = 10
    """What a list that says nothing of its length is taken for."""
    steps: int = 20_000
    """Selections that the analyser looks at before it gives up; an honest document needs fewer than its tokens."""
    cached_tokens: int = 50_000
    """The weight of all cached documents together: about 0.5 kB of memory a token."""

    body_bytes: int = 1_048_576
    service_body_bytes: int = 26_214_400
    body_timeout_s: float = 10.0
    operation_timeout_s: float = 10.0
