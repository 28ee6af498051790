"""Long texts on the wire: cut where the client asked."""

from typing import Annotated

import strawberry

from api.errors import BadUserInputError

MaxChars = Annotated[int | None, strawberry.argument(description="Cut after so many characters, at least 1.")]


def cut(text: str, max_chars: int | None) -> str:
    """The first `max_chars` characters. Raises BadUserInputError when that is less than one."""
    if max_chars is None:
        return text
    if max_chars < 1:
        raise BadUserInputError("`maxChars` must be at least 1.", argument="maxChars")
    return text[:max_chars]
