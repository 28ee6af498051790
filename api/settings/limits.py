"""What one request, one caller and one input may cost: each bound an environment variable with its range."""

from dataclasses import dataclass

from api import limits
from api.settings.variables import integer, seconds, variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(limits.Limits):
    """The bounds of api.limits, read from the environment, and how many connections are held at once."""

    document_chars: int = variable("LIMIT_DOCUMENT_CHARS", "32768", integer(1024, 1_048_576), "length of a document")
    tokens: int = variable("LIMIT_TOKENS", "2000", integer(100, 100_000), "lexical tokens of a document")
    comments: int = variable("LIMIT_COMMENTS", "1000", integer(0, 100_000), "comments of a document")
    depth: int = variable("LIMIT_DEPTH", "14", integer(3, 100), "nested selections")
    introspection_depth: int = variable(
        "LIMIT_INTROSPECTION_DEPTH", "20", integer(3, 100), "nested selections below __schema and __type"
    )
    aliases: int = variable("LIMIT_ALIASES", "30", integer(1, 10_000), "aliases, fragments expanded")
    root_fields: int = variable("LIMIT_ROOT_FIELDS", "20", integer(1, 1000), "fields at the root, fragments expanded")
    repeats: int = variable("LIMIT_REPEATS", "10", integer(1, 1000), "selections under one response name and type")
    repeats_over_types: int = variable(
        "LIMIT_REPEATS_OVER_TYPES", "40", integer(1, 1000), "selections under one response name, all types together"
    )
    directives: int = variable("LIMIT_DIRECTIVES", "20", integer(1, 1000), "directives of a document")
    list_items: int = variable("LIMIT_LIST_ITEMS", "100", integer(1, 1000), "items of one list, ids among them")
    vector_items: int = variable("LIMIT_VECTOR_ITEMS", "4096", integer(1, 16_000), "numbers of one embedding")
    number_chars: int = variable("LIMIT_NUMBER_CHARS", "64", integer(20, 4000), "digits of one number")
    cost: int = variable("LIMIT_COST", "5000", integer(10, 10_000_000), "estimated nodes of an operation")
    introspection_cost: int = variable(
        "LIMIT_INTROSPECTION_COST", "250000", integer(10, 100_000_000), "estimated nodes of an introspection"
    )
    page: int = variable("LIMIT_PAGE", "100", integer(1, 1000), "the largest first: or last:")
    page_default: int = variable("LIMIT_PAGE_DEFAULT", "20", integer(1, 1000), "the page without first: and last:")
    list_default: int = variable("LIMIT_LIST_DEFAULT", "10", integer(1, 1000), "what a plain list is estimated at")
    steps: int = variable("LIMIT_STEPS", "20000", integer(1000, 10_000_000), "selections that are looked at")
    cached_tokens: int = variable(
        "LIMIT_CACHED_TOKENS", "50000", integer(0, 100_000_000), "tokens of all cached documents, about 0.5 kB each"
    )
    body_bytes: int = variable("LIMIT_BODY_BYTES", "1048576", integer(1024, 104_857_600), "bytes of a person's request")
    service_body_bytes: int = variable(
        "LIMIT_SERVICE_BODY_BYTES", "26214400", integer(1024, 104_857_600), "bytes of a service's request"
    )
    body_timeout_s: float = variable("LIMIT_BODY_TIMEOUT", "10", seconds(0.1, 300), "seconds for a body to arrive")
    operation_timeout_s: float = variable("OPERATION_TIMEOUT", "10", seconds(0.1, 600), "seconds of one operation")

    connections: int = variable("LIMIT_CONNECTIONS", "1000", integer(1, 100_000), "HTTP connections at once")
