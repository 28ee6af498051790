"""Documents and their chunks: contracts and site reports, theory and routes, guides, recipes.

Their texts never change, dates included, so that their vectors can be shipped: a document is as old as its text says.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson

from db.seed.clock import Clock, stream, v7
from db.seed.prose import Scene, pick, read, render, tidy
from db.seed.scenes import scene
from db.seed.tables import ChunkRow, DocumentRow
from db.seed.world import NORTHWIND, PIA, TASKLINE, VROMM, Organization, fixed_id

_KINDS = {
    NORTHWIND.slug: (
        "northwind_documents",
        ("contract", "change_order", "site_report", "meeting_minutes", "inspection", "quote", "price_memo", "handbook"),
    ),
    VROMM.slug: (
        "vromm_documents",
        ("theory", "route", "exercise", "learning_path", "school", "event", "instructor"),
    ),
    TASKLINE.slug: ("taskline_documents", ("guide", "runbook", "release")),
    PIA.slug: ("taskline_documents", ("recipe", "note")),
}

# The slot that says what a document of that kind is about.
_TOPICS = {
    "change_order": "co",
    "quote": "vendor",
    "theory": "theory",
    "route": "skill",
    "exercise": "skill",
    "recipe": "veg",
}
_LEAST_WORDS = 42
_WRITTEN = datetime(2026, 2, 14, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Titled:
    """What a source or a search result points to; `content_id` is the product's id, else the document's."""

    id: str
    title: str
    content_id: str
    topic: str


@dataclass
class Library:
    """One organization's documents, findable by kind and project."""

    documents: list[DocumentRow] = field(default_factory=list)
    chunks: list[ChunkRow] = field(default_factory=list)
    shelves: dict[tuple[str, str | None], list[Titled]] = field(default_factory=lambda: defaultdict(list))

    def find(self, kind: str, project_id: str | None, rng: Random, facts: Scene | None = None) -> Titled | None:
        """A document of that kind, of the project if it has one, and about what the scene is about if there is one."""
        shelf = self.shelves.get((kind, project_id)) or self.shelves.get((kind, None))
        if not shelf:
            return None
        topic = facts.get(_TOPICS.get(kind, "")) if facts else None
        return pick([book for book in shelf if book.topic == topic] or shelf, rng)


def library(organization: Organization, clock: Clock, seed: int) -> Library:
    """All documents of that organization, in a fixed order, so that their ids never move."""
    rng = stream(seed, organization.slug, "documents")
    books = Library()
    file, kinds = _KINDS[organization.slug]
    titles: set[str] = set()
    for kind in kinds:
        spec = read(file)[kind]
        projects: list[tuple[str | None, str | None]] = (
            list(organization.projects.items()) if "each" in spec else [(None, None)]
        )
        for project_id, project in projects:
            for number in range(1, spec.get("each", spec.get("org")) + 1):
                at = _WRITTEN - timedelta(days=rng.uniform(2, 360))
                facts = {**scene(organization, rng, clock, at, project), "n": str(number)}
                facts = _untold(spec["title"], facts, titles, rng, lambda: scene(organization, rng, clock, at, project))  # noqa: B023
                _shelve(books, organization, kind, spec, project_id, facts, _latest(at, clock.anchor), rng)
    return books


def _latest(at: datetime, anchor: datetime) -> datetime:
    """The last time before the anchor when the calendar showed that day."""
    years = anchor.year - at.year
    return next(
        then for back in (0, 1) if (then := at.replace(year=at.year + years - back)) <= anchor - timedelta(days=1)
    )


def _untold(title: str, facts: dict[str, str], titles: set[str], rng: Random, again: Any) -> dict[str, str]:
    for attempt in range(40):
        name = render(title, facts, rng)
        if name not in titles:
            break
        facts = {**again(), "n": facts["n"]} if attempt < 39 else facts
    titles.add(name)
    return {**facts, "document_title": name}


def _shelve(
    books: Library,
    organization: Organization,
    kind: str,
    spec: dict[str, Any],
    project_id: str | None,
    facts: Scene,
    at: datetime,
    rng: Random,
) -> None:
    number = len(books.documents) + 1
    document_id = fixed_id(6, organization.number, number)
    content_type = spec.get("type", "DOCUMENT")
    content_id = fixed_id(7, organization.number, number) if content_type != "DOCUMENT" else None
    title = facts["document_title"]
    metadata = orjson.dumps({"kind": kind, "language": "en", "pages": len(spec["chunk"])}).decode()
    books.documents.append(
        DocumentRow(organization.id, document_id, project_id, title, content_type, content_id, metadata, at)
    )
    books.shelves[kind, project_id].append(
        Titled(document_id, title, content_id or document_id, facts.get(_TOPICS.get(kind, ""), ""))
    )
    for index, chunk in enumerate(spec["chunk"]):
        text = _chunk(chunk["says"], spec["also"], facts, rng)
        made_at = at + timedelta(seconds=3 + index)
        books.chunks.append(
            ChunkRow(organization.id, v7(made_at, rng), document_id, index, text, None, None, None, made_at)
        )


def _chunk(says: list[list[str]], also: list[str], facts: Scene, rng: Random) -> str:
    """The chunk's own sentences, then everyday ones until it is long enough to be found by its meaning."""
    text = " ".join(render(pick(line, rng), facts, rng) for line in says)
    for sentence in rng.sample(also, len(also)):
        if text.count(" ") >= _LEAST_WORDS:
            break
        text += " " + render(sentence, facts, rng)
    return tidy(text)
