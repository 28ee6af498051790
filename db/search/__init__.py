"""Searching document chunks: by vector, by text, or by both, under row-level security.

Read `request` (what is asked, checked), `ranking` (the statements), `paging` (a snapshot of ids, its cursors, the
highlights); `registry` knows the embedding models. docs/decisions/0003-search.md says why.
"""

from db.search.paging import Found, Page, page
from db.search.ranking import EXACT_UP_TO, Hit, Ranking, hybrid, matching, nearest
from db.search.registry import EmbeddingModel, known_models, model_named, register
from db.search.request import LIMIT, Mode, Plan, Scope, SearchInputError, SearchRequest, plan

__all__ = [
    "EXACT_UP_TO",
    "LIMIT",
    "EmbeddingModel",
    "Found",
    "Hit",
    "Mode",
    "Page",
    "Plan",
    "Ranking",
    "Scope",
    "SearchInputError",
    "SearchRequest",
    "hybrid",
    "known_models",
    "matching",
    "model_named",
    "nearest",
    "page",
    "plan",
    "register",
]
