"""Checkpoints: C2SP tlog-checkpoint in a C2SP signed-note, Ed25519. Keys are text in the form of Go's sumdb/note.

One key signs for every organization, so an origin is the key's name, a slash and the organization's id.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519: Final = b"\x01"
PRIVATE: Final = "PRIVATE+KEY+"
DASH: Final = "\N{EM DASH} "
MAX_SIGNATURES: Final = 16
_NAME: Final = re.compile(r"[^\s+\x00-\x20]{1,200}")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class KeyFormatError(ValueError):
    """A key that is not in the form of its kind."""


class NoteError(ValueError):
    """A note that is not a checkpoint in its form."""


class ForgedError(NoteError):
    """A note whose signature by a known key is wrong."""


class UnknownKeyError(NoteError):
    """A note that none of the known keys signed."""


@dataclass(frozen=True)
class PublicKey:
    """What verifies: `name+keyid+base64(01 ‖ key)`."""

    name: str
    data: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.data).digest()[:4]

    @property
    def label(self) -> str:
        """The name and the id: which key it is, without the key."""
        return f"{self.name}+{self.key_id.hex()}"

    def __str__(self) -> str:
        return f"{self.label}+{_base64(ED25519 + self.data)}"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Raises KeyFormatError."""
        key = cls(*_parts(text.strip()))
        if str(key) != text.strip():
            raise KeyFormatError("its id is not that of its key: it was copied wrongly")
        return key

    def origin(self, organization_id: str) -> str:
        """The first line of this organization's checkpoints."""
        return f"{self.name}/{organization_id}"

    def verifies(self, text: str, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.data).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, repr=False)
class PrivateKey:
    """What signs: `PRIVATE+KEY+name+keyid+base64(01 ‖ seed)`. Never in a repr."""

    name: str
    seed: bytes

    @classmethod
    def parse(cls, text: str) -> "PrivateKey":
        """Raises KeyFormatError, whose text holds nothing of the key."""
        if not text.startswith(PRIVATE):
            raise KeyFormatError(f"it does not start with {PRIVATE}")
        return cls(*_parts(text.removeprefix(PRIVATE)))

    @classmethod
    def generate(cls, name: str) -> "PrivateKey":
        """A new key. Raises KeyFormatError for a name with a space or a plus."""
        import secrets

        if not _NAME.fullmatch(name):
            raise KeyFormatError("a name has neither spaces nor plus signs")
        return cls(name, secrets.token_bytes(32))

    def secret_text(self) -> str:
        """The form that `parse` takes: the secret itself."""
        return f"{PRIVATE}{self.public.label}+{_base64(ED25519 + self.seed)}"

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.name, self._key().public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note: the text, an empty line and the signature's line."""
        signature = self.public.key_id + self._key().sign(text.encode())
        return f"{text}\n{DASH}{self.name} {_base64(signature)}\n"

    def _key(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True)
class Checkpoint:
    """What a note says: the tree of an origin had this size and this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"

    @classmethod
    def parse(cls, note: str) -> "Checkpoint":
        """What the note says, whoever signed it. Raises NoteError."""
        lines = split(note)[0].split("\n")[:-1]
        if len(lines) != 3 or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise NoteError("not a checkpoint: an origin, a size and a root were expected")
        root = _bytes(lines[2])
        if len(root) != 32:
            raise NoteError("the root of a checkpoint is 32 bytes")
        return cls(lines[0], int(lines[1]), root)


def split(note: str) -> tuple[str, list[str]]:
    """The signed text, and the signatures' lines. Raises NoteError."""
    text, empty, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if not empty or lines.pop() or not 0 < len(lines) <= MAX_SIGNATURES:
        raise NoteError("a note is text, an empty line and signatures")
    if not all(line.startswith(DASH) for line in lines):
        raise NoteError("a line of a signature starts with an em dash")
    return text + "\n", lines


def opened(note: str, keys: Sequence[PublicKey]) -> Checkpoint:
    """The checkpoint, when one of the keys signed it. Raises NoteError, ForgedError or UnknownKeyError."""
    text, lines = split(note)
    checkpoint = Checkpoint.parse(note)
    is_signed = False
    for line in lines:
        name, _, encoded = line.removeprefix(DASH).partition(" ")
        data = _bytes(encoded)
        for key in keys:
            if (name, data[:4]) == (key.name, key.key_id):
                if not key.verifies(text, data[4:]):
                    raise ForgedError("the signature is wrong")
                is_signed = True
    if not is_signed:
        raise UnknownKeyError("no given key signed it")
    return checkpoint


def notes_in(lines: Iterable[str]) -> Iterator[tuple[int, str | None]]:
    """The notes of a file of notes, each with its first line's number; None for a last one that was cut short."""
    block: list[str] = []
    start, is_signed = 1, False
    for number, line in enumerate(lines, start=1):
        if is_signed and not line.startswith(DASH):
            yield start, "".join(block)
            block, is_signed = [], False
        if not block:
            if line == "\n":
                continue
            start = number
        block.append(line)
        is_signed = line.startswith(DASH)
    if block:
        yield start, "".join(block) if is_signed and block[-1].endswith("\n") else None


def _parts(text: str) -> tuple[str, bytes]:
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not _NAME.fullmatch(name) or not re.fullmatch(r"[0-9a-f]{8}", key_id) or len(data) != 33 or data[:1] != ED25519:
        raise KeyFormatError("a key is a name, an id and base64, joined by plus signs")
    return name, data[1:]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or _base64(data) != text:  # also another way to write the same bytes
        raise NoteError("not base64")
    return data
