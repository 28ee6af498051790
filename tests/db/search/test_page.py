"""Pages, cursors and highlights."""

import base64

import pytest

from db import search
from db.search import Mode, Scope, SearchInputError, SearchRequest
from db.search.paging import _digest, _packed
from tests.db.search.library import (
    MINILM,
    A,
    B,
    Canned,
    Chunk,
    Library,
    at_angle,
)


async def test_a_cursor_with_a_foreign_id_finds_nothing(library: Library) -> None:
    await library.organization(A)
    await library.organization(B)
    await library.add([Chunk(A, "lumber", at_angle(n)) for n in range(3)])
    [canary] = await library.add([Chunk(B, "lumber", at_angle(0))])
    request = SearchRequest(text="lumber")
    plan = search.plan(request, organization_model=MINILM.name, embedder=None)
    forged = _packed(
        search.Ranking((search.Hit(canary, 1.0),), Mode.FULL_TEXT, None),
        0,
        0,
        _digest(plan, A),
    )
    page = await library.page(request, after=forged)
    assert (page.found, page.has_next) == ((), False)


async def test_pages_are_a_snapshot_that_later_chunks_do_not_move(library: Library) -> None:
    await library.organization(A)
    ids = await library.add(Chunk(A, f"lumber {n}", at_angle(n)) for n in range(60))
    request, embedder = SearchRequest(text="lumber", mode=Mode.SEMANTIC), Canned(at_angle(0))
    page = await library.page(request, first=20, embedder=embedder)
    seen = [found.hit for found in page.found]
    assert (page.has_previous, page.has_next, page.model) == (False, True, MINILM.name)
    await library.add(Chunk(A, "lumber", at_angle(0)) for _ in range(5))
    await library.operator.execute("DELETE FROM app.document_embeddings WHERE id = $1", ids[30])
    while page.has_next:
        # An unreachable embedder no longer matters: the cursor holds what was found.
        page = await library.page(request, first=20, embedder=Canned(None), after=page.cursor(len(page.found) - 1))
        seen += [found.hit for found in page.found]
        assert (page.has_previous, page.mode, page.model) == (True, Mode.SEMANTIC, MINILM.name)
    assert [hit.id for hit in seen] == [*ids[:30], *ids[31:50]]
    assert [hit.semantic_rank for hit in seen] == [*range(1, 31), *range(32, 51)]
    assert [hit.score for hit in seen] == sorted((hit.score for hit in seen), reverse=True)
    rest = await library.page(request, embedder=embedder, after=page.cursor(len(page.found) - 1))
    assert (rest.found, rest.has_next) == ((), False)


async def test_a_cursor_of_another_search_or_a_mangled_one_is_refused(library: Library) -> None:
    await library.organization(A)
    await library.organization(B)
    await library.add(Chunk(A, f"lumber {n}", at_angle(n)) for n in range(5))
    request = SearchRequest(text="lumber")
    cursor = (await library.page(request, first=2)).cursor(1)
    assert len((await library.page(request, after=cursor)).found) == 3
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[-3] ^= 1
    mangled = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    for wrong in ("", "x", "å", "\0", cursor + "=", cursor[:-4], cursor + cursor, mangled, "A" * 20_000):
        with pytest.raises(SearchInputError, match="after: is not a cursor of this search"):
            await library.page(request, after=wrong)
    for other in (
        SearchRequest(text="timber"),
        SearchRequest(text="lumber", min_score=0.0),
        SearchRequest(text="lumber", scope=Scope(content_types=("ROUTE",))),
    ):
        with pytest.raises(SearchInputError):
            await library.page(other, after=cursor)
    with pytest.raises(SearchInputError):
        await library.page(request, after=cursor, organization_id=B)


async def test_a_highlight_is_plain_text_with_marks_of_ours_alone(library: Library) -> None:
    await library.organization(A)
    await library.add(
        [
            Chunk(A, "He said « lumber » & <b>timber</b>", at_angle(0)),
            Chunk(A, "Nothing of the kind", at_angle(1)),
        ]
    )
    page = await library.page(SearchRequest(text="lumber's price", embedding=at_angle(0)))
    highlights = [found.highlight for found in page.found]
    assert highlights[0] is not None
    assert "‹ «lumber» ›" in highlights[0]
    assert highlights[1] is None
    semantic = await library.page(SearchRequest(embedding=at_angle(0)))
    assert [found.highlight for found in semantic.found] == [None, None]
    assert semantic.mode is Mode.SEMANTIC


async def test_any_text_can_be_asked_for(library: Library) -> None:
    await library.organization(A)
    await library.add([Chunk(A, r"a\b it's C:\lumber http://x.example/a'b?c=\d user@x.example", at_angle(0))])
    strange = (r"\ ' \' '\\ \\'", "a & | ! ( ) :* <->", "-", '"', "the", "😀", "-lumber", "http://x.example/a'b?c=\\d")
    for text in strange:
        page = await library.page(SearchRequest(text=text), embedder=Canned(at_angle(0)))
        assert len(page.found) == 1
        assert page.mode is Mode.HYBRID


async def test_min_score_bounds_the_score_that_is_shown(library: Library) -> None:
    await library.organization(A)
    await library.add(Chunk(A, "lumber", at_angle(degrees)) for degrees in (0, 60, 90, 180))
    for min_score, count in ((-1.0, 4), (0.0, 3), (0.5, 2), (1.0, 1), (1.1, 0)):
        page = await library.page(SearchRequest(embedding=at_angle(0), min_score=min_score))
        assert len(page.found) == count
    for mode in (Mode.FULL_TEXT, Mode.HYBRID):
        page = await library.page(SearchRequest(text="lumber", embedding=at_angle(0), mode=mode))
        assert all(0 <= found.hit.score <= 1 for found in page.found)
