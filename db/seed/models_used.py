"""The language models of the demo: their prices, their speed, and how they fail."""

from dataclasses import dataclass
from random import Random
from typing import Final

from db.seed.prose import pick
from db.seed.world import Person


@dataclass(frozen=True)
class LanguageModel:
    """Prices are micro-dollars per token, `median_ms` the middle of its log-normal latency."""

    name: str
    provider: str
    input_price: float
    output_price: float
    median_ms: int
    spread: float

    def cost(self, prompt: int, completion: int) -> int:
        """Micro-dollars, rounded up as providers do."""
        return -int(-(prompt * self.input_price + completion * self.output_price) // 1)

    def latency_ms(self, rng: Random) -> int:
        """Milliseconds of one answer; one in a hundred takes more than three times the median."""
        return max(90, int(self.median_ms * rng.lognormvariate(0, self.spread)))


MODELS: Final = (
    LanguageModel("gpt-4o-mini", "OPENAI", 0.15, 0.60, 1250, 0.45),
    LanguageModel("gpt-4o", "OPENAI", 2.50, 10.0, 2350, 0.50),
    LanguageModel("claude-sonnet-4-5", "ANTHROPIC", 3.0, 15.0, 2900, 0.42),
    LanguageModel("claude-haiku-4-5", "ANTHROPIC", 1.0, 5.0, 1100, 0.38),
    LanguageModel("gemini-2.5-flash", "GOOGLE", 0.30, 2.50, 900, 0.55),
    LanguageModel("gemini-2.5-pro", "GOOGLE", 1.25, 10.0, 3800, 0.48),
    LanguageModel("mistral-small-3.2", "OTHER", 0.10, 0.30, 1000, 0.40),
)

# code, message, seconds until the provider gave up (least, most), share of all failures
FAILURES: Final = (
    ("rate_limit_exceeded", "Rate limit reached for requests per minute. Try again in 20s.", 0.1, 0.9),
    ("rate_limit_exceeded", "Rate limit reached for tokens per minute: limit 30000, used 29412.", 0.1, 0.7),
    ("provider_timeout", "The provider did not answer within 60 seconds.", 60.0, 60.4),
    ("provider_timeout", "The stream stopped after the first tokens and was given up.", 15.0, 32.0),
    ("overloaded", "The model is overloaded. Please retry.", 5.1, 19.0),
    ("context_length_exceeded", "The prompt has more tokens than this model's context allows.", 0.3, 1.6),
    ("content_filter", "The answer was withheld by the provider's content filter.", 1.4, 6.8),
    ("invalid_api_key", "The key that the user brought was refused by the provider.", 0.1, 0.5),
)


def preferred(person: Person, rng: Random) -> LanguageModel:
    """A model for that person's conversation: mostly the preferred provider's, cheaper ones more often."""
    own = [model for model in MODELS if model.provider == person.provider]
    if rng.random() < 0.82:
        return own[0] if rng.random() < 0.6 else own[-1]
    return pick(MODELS, rng)


def tokens(text: str) -> int:
    """Roughly what a tokenizer counts in English."""
    return len(text) * 10 // 42 + 3
