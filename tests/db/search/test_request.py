"""What a search refuses, and what it does instead."""

import math

import pytest

from db import search
from db.search import Mode, SearchInputError, SearchRequest
from tests.db.search.library import ADA, MINILM, A, Canned, Chunk, Library, at_angle, axis


@pytest.mark.parametrize(
    ("request_", "argument", "message"),
    [
        (SearchRequest(), "text", "give a text, an embedding or both"),
        (SearchRequest(text=" \n"), "text", "must not be blank"),
        (SearchRequest(text="a\0"), "text", "must not hold NUL"),
        (SearchRequest(text="\ud800"), "text", "half a surrogate pair"),
        (SearchRequest(text="a" * 2_001), "text", "at most 2000 characters"),
        (SearchRequest(text="a", model=ADA.name), "model", "'all-MiniLM-L6-v2'"),
        (SearchRequest(embedding=[1.0], model="'; DROP"), "model", "'all-MiniLM-L6-v2'"),
        (SearchRequest(embedding=[1.0] * 1536), "embedding", "'all-MiniLM-L6-v2' has 384 dimensions, this vector 1536"),
        (SearchRequest(embedding=[]), "embedding", "has 384 dimensions, this vector 0"),
        (SearchRequest(embedding=axis(math.nan)), "embedding", "finite"),
        (SearchRequest(embedding=axis(1, math.inf)), "embedding", "finite"),
        (SearchRequest(embedding=axis(0)), "embedding", "zero vector"),
        (SearchRequest(embedding=axis(1), mode=Mode.HYBRID), "text", "HYBRID needs a text"),
        (SearchRequest(embedding=axis(1), mode=Mode.FULL_TEXT), "text", "FULL_TEXT needs a text"),
        (SearchRequest(text="a", min_score=math.nan), "minScore", "finite"),
    ],
)
def test_a_bad_input_is_refused_by_name(request_: SearchRequest, argument: str, message: str) -> None:
    with pytest.raises(SearchInputError, match=message) as caught:
        search.plan(request_, organization_model=MINILM.name, embedder=None)
    assert caught.value.argument == argument


def test_a_text_without_a_fitting_embedder_is_searched_as_text() -> None:
    def planned(request: SearchRequest, embedder: Canned | None, organization_model: str = MINILM.name) -> search.Plan:
        return search.plan(request, organization_model=organization_model, embedder=embedder)

    fitting, other = Canned(axis(1)), Canned(axis(1), model=ADA.name, dimensions=1536)
    question = SearchRequest(text="why")
    assert (planned(question, fitting).mode, planned(question, fitting).must_embed) == (Mode.HYBRID, True)
    for embedder in (None, other):
        for mode in (None, *Mode):
            fallback = planned(SearchRequest(text="why", mode=mode), embedder)
            assert (fallback.mode, fallback.model, fallback.must_embed) == (Mode.FULL_TEXT, None, False)
    given = planned(SearchRequest(text="why", embedding=axis(1)), None)
    assert (given.mode, given.model, given.must_embed) == (Mode.HYBRID, MINILM, False)
    assert planned(question, fitting, "not-registered").mode is Mode.FULL_TEXT
    with pytest.raises(SearchInputError, match="vectors of 'not-registered' can't be searched here"):
        planned(SearchRequest(embedding=axis(1)), None, "not-registered")


async def test_an_unavailable_embedder_makes_it_full_text_and_says_so(library: Library) -> None:
    await library.organization(A)
    await library.add([Chunk(A, "lumber", at_angle(0)), Chunk(A, "wood", at_angle(1))])
    page = await library.page(SearchRequest(text="lumber", mode=Mode.SEMANTIC), embedder=Canned(None))
    assert (page.mode, page.model, page.approximate, len(page.found)) == (Mode.FULL_TEXT, None, False, 1)


def test_a_model_enters_the_registry_only_as_harmless_text() -> None:
    for name, dimensions in (("", 3), ("a'b", 3), ("a b", 3), ("a\n", 3), ("fine", 0), ("fine", 16_001)):
        with pytest.raises(ValueError, match="a model"):
            search.register(name, dimensions)
    with pytest.raises(ValueError, match="has 384 dimensions, not 3"):
        search.register(MINILM.name, 3)
    assert search.register("openai/large:v3", 3072, has_index=True).sql_type == "ext.halfvec(3072)"
