"""Commands sent ahead: their message goes out just before the statement that follows them, a round trip less.

PostgreSQL takes messages one after the other, however early they come; asyncpg sends one and waits for its answer. So
commands are put on the wire before the driver's own message, and their answer is taken off the wire before the driver
sees it: docs/decisions/0010-begin-ahead.md.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, Self, TypeVar

import asyncpg

T = TypeVar("T")

_ERROR: Final = ord("E")
_READY: Final = ord("Z")
# What may come at any time is the driver's: notices, notifications, settings that the server reports.
_ANY_TIME: Final = frozenset(b"NAS")
# A message is its kind, its length with these four bytes, and what it says.
_HEAD: Final = 5


class Ahead(asyncio.Protocol):
    """The wire of one connection, for as long as an answer is awaited that the driver does not know of.

    It stands between transport and driver from `send` until the answer `is_answered`; `failure` is the error in it.
    """

    __slots__ = ("_driver", "_known", "_rest", "_transport", "failure", "is_answered")

    def __init__(self, transport: Any, driver: Any) -> None:
        self._transport, self._driver = transport, driver
        self._rest = self._known = b""
        self.is_answered = True
        self.failure: asyncpg.PostgresError | None = None

    @classmethod
    def of(cls, connection: Any) -> Self | None:
        """The wire of asyncpg's connection, or of a pool's proxy of one; None where it is not found, being no public part."""
        raw = getattr(connection, "_con", connection)
        transport, driver = getattr(raw, "_transport", None), getattr(raw, "_protocol", None)
        if not hasattr(transport, "set_protocol") or not hasattr(driver, "_is_cancelling"):
            return None
        return cls(transport, driver)

    @property
    def is_free(self) -> bool:
        """Whether nothing is under way: neither commands nor a cancellation of the driver's, whose answer would come first."""
        return self.is_answered and not self._driver._is_cancelling()

    def send(self, sql: str) -> None:
        """Send commands as a simple message, whose rows are dropped; a statement of the driver has to follow at once.

        That is run even where they have failed: it must be one that does nothing then. Raises ConnectionResetError where
        the transport is closed already.
        """
        text = sql.encode()
        self.is_answered, self.failure = False, None
        try:
            self._transport.set_protocol(self)
            self._transport.write(b"Q" + (len(text) + _HEAD).to_bytes(4, "big") + text + b"\0")
        except RuntimeError as error:  # uvloop's, of a transport that is closed
            raise ConnectionResetError("the connection was lost") from error

    async def followed_by(self, statement: Awaitable[T]) -> T:
        """What the driver's statement gives. Raises what the commands failed for, if they did, instead of its own error."""
        try:
            given = await statement
        except Exception:
            if self.failure is not None:
                raise self.failure from None
            raise
        if self.failure is not None:
            raise self.failure
        return given

    def data_received(self, data: bytes) -> None:
        """Take the answer's messages out of what has come; what follows them is the driver's."""
        known = self._known
        if known and not self._rest and data.startswith(known):  # nearly always: it says the same as the last time
            self._end()
            if len(data) > len(known):
                self._driver.data_received(data[len(known) :])
            return
        is_alone = not self._rest
        data, at = self._rest + data, 0
        while at + _HEAD <= len(data):
            start, at = at, at + 1 + int.from_bytes(data[at + 1 : at + _HEAD], "big")
            if at > len(data):
                at = start
                break
            kind = data[start]
            if kind == _READY:
                self._end()
                if is_alone and self.failure is None:
                    self._known = data[:at]
                if at < len(data):
                    self._driver.data_received(data[at:])
                return
            if kind == _ERROR:
                self.failure = self.failure or asyncpg.PostgresError.new(_fields(data[start + _HEAD : at]))
            elif kind in _ANY_TIME:
                is_alone = False
                self._driver.data_received(data[start:at])
        self._rest = data[at:]

    def _end(self) -> None:
        self.is_answered, self._rest = True, b""
        self._transport.set_protocol(self._driver)

    def connection_lost(self, exc: Exception | None) -> None:
        self._driver.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return self._driver.eof_received()  # type: ignore[no-any-return]

    def pause_writing(self) -> None:
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        self._driver.resume_writing()


def _fields(message: bytes) -> dict[str, str]:
    """The fields of an error: each a letter and a text, ended by a zero."""
    fields = (each.decode(errors="replace") for each in message.split(b"\0") if each)
    return {each[0]: each[1:] for each in fields}
