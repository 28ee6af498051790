"""Payloads of mutations: what every one of them has, and the expected refusals that it carries as userErrors."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from api.enums import described
from api.scalars import DateTime


@described(
    "Why a change was not made.",
    INVALID="A value is not allowed.",
    NOT_FOUND="There is no such thing that the caller may see.",
    FORBIDDEN="The caller sees it but may not change it.",
    CONFLICT="It changed meanwhile, or something of that name exists.",
    QUOTA_EXCEEDED="A budget is used up; retryAt says when it opens again.",
    PAYLOAD_TOO_LARGE="A value is too large.",
    IMMUTABLE="It can be set once and was.",
    IDEMPOTENCY_MISMATCH="The idempotency key was used for another request.",
)
class UserErrorCode(Enum):
    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CONFLICT = "CONFLICT"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    IMMUTABLE = "IMMUTABLE"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"


@strawberry.type(description="An expected refusal: part of the answer, not an error of the request.")
class UserError:
    code: UserErrorCode = strawberry.field(description="What kind of refusal it is.")
    message: str = strawberry.field(description="For people. It repeats no id.")
    field: list[str] | None = strawberry.field(description="The path into the input that it is about.")
    retry_at: DateTime | None = strawberry.field(description="When trying again may succeed.")


@strawberry.interface(description="What every mutation returns.")
class MutationPayload:
    user_errors: list[UserError] = strawberry.field(description="Why something was not done; empty when all was.")

    @classmethod
    def resolve_type(cls, obj: object, *_: object) -> str:
        return type(obj).__name__


class RefusedError(Exception):
    """The change is not made; nothing of it stays. Carries the userErrors that say why."""

    def __init__(self, *errors: UserError, done: dict[str, Any] | None = None) -> None:
        super().__init__(*(error.code.value for error in errors))
        self.errors: Sequence[UserError] = errors
        self.done = done or {}


MESSAGES = {
    UserErrorCode.INVALID: "This value is not allowed.",
    UserErrorCode.NOT_FOUND: "There is no such thing.",
    UserErrorCode.FORBIDDEN: "You may not change this.",
    UserErrorCode.CONFLICT: "It changed meanwhile.",
    UserErrorCode.QUOTA_EXCEEDED: "The budget is used up.",
    UserErrorCode.PAYLOAD_TOO_LARGE: "This value is too large.",
    UserErrorCode.IMMUTABLE: "It was set and stays so.",
    UserErrorCode.IDEMPOTENCY_MISMATCH: "The key was used for another request.",
}


def user_error(
    code: UserErrorCode, *path: str, message: str | None = None, retry_at: datetime | None = None
) -> UserError:
    """A userError about the input's `path`, with its code's own message unless a better one is given."""
    return UserError(code=code, message=message or MESSAGES[code], field=list(path) or None, retry_at=retry_at)


def refused(code: UserErrorCode, *path: str, message: str | None = None) -> RefusedError:
    """The same as an exception."""
    return RefusedError(user_error(code, *path, message=message))
