"""The local model understands what it should; an endpoint's every failure is typed and silent about the key."""

import json
import math
from collections.abc import Callable, Sequence

import httpx
import pytest

from db.embedder import EmbedderError, EmbedderUnavailable, MiniLm, OpenAiCompatible, Patience, from_name

KEY = "sk-canary-5f1d"
TEXTS = [
    "Framing came in 42 % over budget: lumber rose from $410 to $690 per thousand board feet.",
    "The electrical rough-in passed its inspection on the second visit.",
    "Concrete for the foundation was delayed by two days of rain.",
    "The client chose quartz for the kitchen island.",
    "Toilets, vanities and one tub stay within the plumbing allowance.",
]
Answer = Callable[[httpx.Request], httpx.Response]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def minilm() -> MiniLm:
    return MiniLm()


async def test_why_is_wood_so_expensive_finds_the_lumber_overrun(minilm: MiniLm) -> None:
    [question] = await minilm.embed(["why is wood so expensive"])
    lumber, *others = [cosine(question, vector) for vector in await minilm.embed(TEXTS)]
    assert lumber > 0.4
    assert lumber > max(others) + 0.2


async def test_vectors_are_units_of_384_numbers_in_the_order_of_their_texts(minilm: MiniLm) -> None:
    texts = [*TEXTS, *(text[:20] for text in TEXTS), "x", "", "snö " * 1_000] * 2
    vectors = await minilm.embed(texts)
    assert [len(vector) for vector in vectors] == [minilm.dimensions] * len(texts)
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-5) for vector in vectors)
    assert vectors[: len(texts) // 2] == vectors[len(texts) // 2 :]


async def test_a_vector_does_not_depend_on_its_batch(minilm: MiniLm) -> None:
    together = await minilm.embed([*TEXTS, "a much longer text " * 60])
    assert [(await minilm.embed([text]))[0] for text in TEXTS] == together[: len(TEXTS)]


async def test_no_text_needs_no_model(minilm: MiniLm) -> None:
    assert await minilm.embed([]) == []


def test_the_configuration_chooses_the_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_name("none") is None
    assert isinstance(from_name("auto"), MiniLm)
    assert isinstance(from_name("auto", url="https://embed.example/v1", model="m", dimensions=3), OpenAiCompatible)
    for wrong, message in (("best", "unknown embedder"), ("openai", "needs a url")):
        with pytest.raises(ValueError, match=message):
            from_name(wrong)
    monkeypatch.setattr(MiniLm, "is_installed", staticmethod(lambda: False))
    assert from_name("auto") is None
    with pytest.raises(ValueError, match="packages are missing"):
        from_name("minilm")


# ── an endpoint ──────────────────────────────────────────────────────────────────────────────────────────────────────
def endpoint(answer: Answer, **patience: float) -> OpenAiCompatible:
    quick = Patience(pause=0.001, longest_pause=0.01, **patience)  # type: ignore[arg-type]
    transport = httpx.MockTransport(answer)
    return OpenAiCompatible("https://embed.example/v1/", "tiny", 3, KEY, patience=quick, transport=transport)


def data(*vectors: object) -> httpx.Response:
    rows = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return httpx.Response(200, content=json.dumps({"data": rows[::-1]}))


async def test_an_endpoint_is_asked_with_the_key_and_answers_units_in_order() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return data([3, 0, 4], [0, -2.0, 0])

    embedder = endpoint(answer)
    vectors = await embedder.embed(["a", "b"])
    await embedder.aclose()
    assert vectors == [pytest.approx([0.6, 0, 0.8]), pytest.approx([0, -1, 0])]
    assert asked[0].url == "https://embed.example/v1/embeddings"
    assert asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(asked[0].content) == {"model": "tiny", "input": ["a", "b"], "encoding_format": "float"}


async def test_an_overloaded_endpoint_is_asked_again_and_then_unavailable() -> None:
    statuses = [503, 429]
    embedder = endpoint(lambda _: httpx.Response(statuses.pop()) if statuses else data([1, 0, 0]))
    assert await embedder.embed(["a"]) == [[1, 0, 0]]
    calls: list[int] = []

    def overloaded(_: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(503, headers={"retry-after": "3600"}, text=KEY)

    with pytest.raises(EmbedderUnavailable, match=r"embed\.example did not answer: status 503"):
        await endpoint(overloaded).embed(["a"])
    assert len(calls) == 3


async def test_an_unreachable_endpoint_is_unavailable() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"no route for {KEY}", request=request)

    with pytest.raises(EmbedderUnavailable) as caught:
        await endpoint(unreachable).embed(["a"])
    assert KEY not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (httpx.Response(401, text=f"bad key {KEY}"), "refused: status 401"),
        (httpx.Response(301, headers={"location": "https://elsewhere.example"}), "refused: status 301"),
        (httpx.Response(200, text=KEY), "did not answer in JSON"),
        (httpx.Response(200, json=[KEY]), "without data"),
        (httpx.Response(200, json={"data": [KEY]}), "without data"),
        (data([1, 0, 0], [1, 0, 0]), "2 vectors for 1 texts"),
        (data(), "0 vectors for 1 texts"),
        (data([1, 0]), "2 dimensions, tiny has 3"),
        (data("AACAPw=="), "something else than numbers"),
        (data([1, True, 0]), "something else than numbers"),
        (data([1, math.nan, 0]), "zero or not finite"),
        (data([1, 10**400, 0]), "zero or not finite"),
        (data([0, 0, 0]), "zero or not finite"),
    ],
)
async def test_a_wrong_answer_is_an_error_that_keeps_the_key(response: httpx.Response, problem: str) -> None:
    with pytest.raises(EmbedderError, match=problem) as caught:
        await endpoint(lambda _: response).embed(["a"])
    assert not isinstance(caught.value, EmbedderUnavailable)
    assert KEY not in repr(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}å", f" {KEY}"])
def test_a_key_that_no_header_can_carry_is_refused_unquoted(key: str) -> None:
    with pytest.raises(ValueError, match="outside ASCII") as caught:
        OpenAiCompatible("https://embed.example", "tiny", 3, key)
    assert KEY not in str(caught.value)


def test_a_printed_embedder_shows_no_key() -> None:
    assert KEY not in repr(endpoint(lambda _: data()))
    for url in ("ftp://embed.example", "embed.example", "https://", "http://[::1"):
        with pytest.raises(ValueError, match="embedder's url"):
            OpenAiCompatible(url, "tiny", 3)
