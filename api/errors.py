"""The errors that a caller may see: a drawn tree, one code each, and the mask that turns everything else into them.

A class's docstring is its default message. No message repeats what the caller sent: it may hold an id or a secret.

    ApiError
    ├── UnauthenticatedError   401
    ├── ForbiddenError
    ├── BadUserInputError
    ├── ParseFailedError
    ├── ValidationFailedError
    ├── QueryTooComplexError
    ├── ThrottledError         429
    ├── OperationTimeoutError  504
    ├── UnavailableError       503
    └── InternalError          500
"""

import re
import traceback
from collections.abc import Iterable
from typing import Any, ClassVar, Final

import asyncpg
import structlog
from graphql import GraphQLError, GraphQLSyntaxError

from db.commit import LostCommitError
from db.pool import CONNECTION_ERRORS, DatabaseUnavailableError

log = structlog.get_logger(__name__)

LOGGED_QUERY_CHARS: Final = 500


class ApiError(GraphQLError):
    """The request was refused."""

    code: ClassVar[str] = "INTERNAL"
    retry_after_s: int | None = None
    """For the Retry-After header."""

    def __init__(self, message: str | None = None, *, argument: str | None = None, **extensions: Any) -> None:
        named = {} if argument is None else {"argument": argument}
        super().__init__(
            message or type(self).__doc__ or self.code, extensions={"code": self.code, **named, **extensions}
        )


class UnauthenticatedError(ApiError):
    """A valid bearer token is needed."""

    code = "UNAUTHENTICATED"


class ForbiddenError(ApiError):
    """Your role may not do this."""

    code = "FORBIDDEN"


class BadUserInputError(ApiError):
    """A value in the request is not valid."""

    code = "BAD_USER_INPUT"


class ParseFailedError(ApiError):
    """The document is not GraphQL."""

    code = "GRAPHQL_PARSE_FAILED"


class ValidationFailedError(ApiError):
    """The document does not fit the schema."""

    code = "GRAPHQL_VALIDATION_FAILED"


class QueryTooComplexError(ApiError):
    """The operation asks for too much at once."""

    code = "QUERY_TOO_COMPLEX"


class ThrottledError(ApiError):
    """Too many requests: try again later."""

    code = "THROTTLED"
    retry_after_s = 1


class OperationTimeoutError(ApiError):
    """The operation took too long and was stopped."""

    code = "TIMEOUT"


class UnavailableError(ApiError):
    """The database cannot be reached at the moment: try again."""

    code = "UNAVAILABLE"
    retry_after_s = 1


class InternalError(ApiError):
    """Something went wrong on our side."""

    code = "INTERNAL"


CODES: Final = frozenset(each.code for each in ApiError.__subclasses__())

_BY_SQLSTATE: Final[dict[str, type[ApiError]]] = {
    **dict.fromkeys(("22000", "22003", "22007", "22008", "22021", "22P02", "22P05"), BadUserInputError),
    "25P03": UnavailableError,
    "25P04": OperationTimeoutError,
    "40001": UnavailableError,
    "40P01": UnavailableError,
    "42501": ForbiddenError,
    "53300": UnavailableError,
    "55P03": UnavailableError,
    "57014": OperationTimeoutError,
}
_USER_ERRORS: Final = {"23505": "CONFLICT", "23503": "NOT_FOUND", "23514": "INVALID"}

_ECHO: Final = re.compile(
    r"(?:,? found|\. Found|(?<=\?) Found|(?<=[^d] value)): .*", re.DOTALL
)  # not "has invalid value: "
_ENUM_VALUE: Final = re.compile(r"Value (?:'.*'|\".*\") does not exist in", re.DOTALL)
_QUOTED_TOKEN: Final = re.compile(r"\b(String|BlockString|Int|Float|Name) (?:'.*'|\".*\")", re.DOTALL)
_LITERAL: Final = re.compile(r'"""(?:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"?', re.DOTALL)
_VARIABLE: Final = re.compile(r"Variable '\$(\w+)'(?: has invalid value(?: at ([\w.\[\]]+))?)?")
_ARGUMENT: Final = re.compile(r"Argument '(\w+)'")


def user_error_code(error: asyncpg.PostgresError) -> str | None:
    """The userErrors code that a mutation gives for a violated constraint, or None when it is none of the caller's doing."""
    if error.sqlstate == "23514" and not error.constraint_name:
        return None  # no partition for the row: ours to mend
    return _USER_ERRORS.get(error.sqlstate or "")


def mask(errors: Iterable[BaseException], *, request_id: str, query: str = "") -> list[GraphQLError]:
    """Errors fit for a caller, in the same order; what was not meant for one is logged under `request_id`."""
    return [as_graphql_error(error, request_id=request_id, query=query) for error in errors]


def as_graphql_error(error: BaseException, *, request_id: str, query: str = "") -> GraphQLError:
    """One error fit for a caller: a code of the vocabulary, a message of ours or graphql-core's, never PostgreSQL's."""
    root = _root(error)
    if isinstance(root, ApiError):
        return _located(error, _spoken(error), root.extensions or {}, root)
    if isinstance(root, GraphQLError):
        return _from_core(error, root, request_id, query)
    known = _from_database(root)
    # a 42501 that arrives here is a bug of ours: the mirror decides before SQL
    if known in {None, ForbiddenError} or isinstance(root, OSError | asyncpg.InternalClientError | LostCommitError):
        _record(root, request_id, query)
    answer = (known or InternalError)()
    return _located(error, answer.message, answer.extensions or {}, answer)


def code_of(error: GraphQLError) -> str:
    """The code that an error carries; INTERNAL when it has none."""
    return str((error.extensions or {}).get("code", InternalError.code))


def without_echo(message: str) -> str:
    """graphql-core's message without the value that it quotes."""
    message = _ENUM_VALUE.sub("The value does not exist in", message)
    shortened = _ECHO.sub("", _QUOTED_TOKEN.sub(r"\1", message))
    if shortened == message:
        return message
    shortened = shortened.rstrip(" .:;,")
    return shortened if shortened.endswith("?") else shortened + "."


def _root(error: BaseException) -> BaseException:
    seen = 0
    while isinstance(error, GraphQLError) and error.original_error is not None and seen < 10:
        error = error.original_error
        seen += 1
    return error


def _spoken(error: BaseException) -> str:
    return error.message if isinstance(error, GraphQLError) else str(error)


def _located(error: BaseException, message: str, extensions: dict[str, Any], cause: Exception) -> GraphQLError:
    if not isinstance(error, GraphQLError):
        return GraphQLError(message, extensions=dict(extensions), original_error=cause)
    extensions = {**extensions, **_argument_of(message, extensions)}
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, cause, extensions)


def _argument_of(message: str, extensions: dict[str, Any]) -> dict[str, str]:
    """graphql-core says which variable or argument was wrong only in its message."""
    if "argument" in extensions:
        return {}
    if found := _VARIABLE.match(message):
        return {"argument": f"${found[1]}{found[2] or ''}"}
    if found := _ARGUMENT.match(message):
        return {"argument": found[1]}
    return {}


def _from_core(error: BaseException, root: GraphQLError, request_id: str, query: str) -> GraphQLError:
    message = without_echo(_spoken(error))
    code = (root.extensions or {}).get("code")
    if code in CODES:
        return _located(error, message, root.extensions or {}, root)
    about_values = _VARIABLE.match(message) or _ARGUMENT.match(message)
    kind: type[ApiError]
    if isinstance(root, GraphQLSyntaxError):
        kind = ParseFailedError
    elif about_values:
        kind = BadUserInputError
    elif not isinstance(error, GraphQLError) or error.path is None:
        kind = ValidationFailedError
    else:  # a value of ours that its own type cannot carry
        _record(root, request_id, query)
        internal = InternalError()
        return _located(error, internal.message, internal.extensions or {}, internal)
    return _located(error, message, {"code": kind.code}, root)


def _from_database(error: BaseException) -> type[ApiError] | None:
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if user_error_code(error):
            return BadUserInputError
        if state.startswith(("08", "57P0", "53")) or state == "23514":
            return UnavailableError
        return _BY_SQLSTATE.get(state)
    if isinstance(error, asyncpg.InterfaceError):  # asyncpg's own DataError is one: a value that has no binary form
        return BadUserInputError if isinstance(error, ValueError) else UnavailableError
    if isinstance(error, TimeoutError):
        return OperationTimeoutError
    is_passing = isinstance(error, (*CONNECTION_ERRORS, DatabaseUnavailableError, LostCommitError))
    return UnavailableError if is_passing else None


def _record(error: BaseException, request_id: str, query: str) -> None:
    """The stack without the exception's own text where that may quote a row; the query without its literals."""
    database = isinstance(error, asyncpg.PostgresError)
    log.error(
        "operation failed",
        request_id=request_id,
        error=type(error).__name__,
        text=None if database else str(error)[:200],
        sqlstate=getattr(error, "sqlstate", None),
        constraint=getattr(error, "constraint_name", None),
        stack="".join(traceback.format_tb(error.__traceback__)[-12:]),
        query=_LITERAL.sub('""', query)[:LOGGED_QUERY_CHARS],
    )
