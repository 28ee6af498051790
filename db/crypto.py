"""Envelope encryption of people's provider keys: a data key per record, wrapped by a key-encryption key of a keyring.

Both layers are bound to the row (organization, user, provider, id, version), so bytes moved elsewhere do not open. Each
begins with a byte that names its algorithm: GCM-SIV, which forgives a repeated nonce, or GCM where OpenSSL lacks it.
"""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
DEMO: Final = "demo"
"""The key id of the demo world's rows: random bytes that nothing opens."""

_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"minutebook:byok:v1"
_FINGERPRINT: Final = b"minutebook:byok:v1:fingerprint"
_HINT_CHARS: Final = 4
_HINTED_CHARS: Final = 12
_LEAST_DISTINCT_BYTES: Final = 16
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")

Cipher: TypeAlias = AESGCMSIV | AESGCM
_CIPHERS: Final[dict[int, type[AESGCMSIV] | type[AESGCM]]] = {1: AESGCMSIV, 2: AESGCM}


def _best_algorithm() -> int:
    try:
        AESGCMSIV(bytes(KEY_BYTES))
    except UnsupportedAlgorithm:
        return 2
    return 1


ALGORITHM: Final = _best_algorithm()


class KeyringError(ValueError):
    """A keyring that cannot be used; the text repeats nothing of it."""


class UnopenableError(Exception):
    """The sealed key does not open here: its row, its bytes or the keyring differ from those that it was sealed with."""


@dataclass(frozen=True, slots=True)
class Address:
    """The row that a key is sealed for; uuids in canonical text. `version` is the row's key_version."""

    organization_id: str
    user_id: str
    provider: str
    id: str
    version: int

    def aad(self) -> bytes:
        parts = (self.organization_id, self.user_id, self.provider, self.id, str(self.version))
        return _length_prefixed(_PURPOSE, *(part.encode() for part in parts))


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is stored of a key. `key_id` names the key-encryption key that wraps `wrapped_key`."""

    ciphertext: bytes
    wrapped_key: bytes
    key_id: str


class Keyring:
    """Key-encryption keys by id, in order: the first, the primary, seals; every one opens what it sealed."""

    __slots__ = ("_keys", "primary")

    def __init__(self, keys: dict[str, bytes]) -> None:
        if not keys:
            raise KeyringError("must name at least one key")
        for key_id, key in keys.items():
            if key_id == DEMO or not _ID.match(key_id):
                raise KeyringError(
                    "names a key by an id that is not 1 to 63 letters, digits, dots and dashes, or is demo"
                )
            if len(key) != KEY_BYTES:
                raise KeyringError(f"holds a key that is not {KEY_BYTES} bytes long")
            if len(set(key)) < _LEAST_DISTINCT_BYTES:
                raise KeyringError("holds a key that is not random")
        if len(set(keys.values())) < len(keys):
            raise KeyringError("holds the same key twice")
        self._keys = dict(keys)
        self.primary = next(iter(keys))

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """From `id:base64,id:base64,…`, either alphabet, padded or not. Raises KeyringError."""
        entries = [entry.strip().partition(":") for entry in text.split(",") if entry.strip()]
        if len({key_id for key_id, _, _ in entries}) < len(entries):
            raise KeyringError("names the same id twice")
        return cls({key_id: _decoded(encoded) for key_id, _, encoded in entries})

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def seal(self, secret: str, address: Address) -> Sealed:
        """The secret under a data key of its own, wrapped by the primary key."""
        data_key = secrets.token_bytes(KEY_BYTES)
        ciphertext = _encrypt(data_key, secret.encode(), address)
        return Sealed(ciphertext, _encrypt(self._keys[self.primary], data_key, address), self.primary)

    def open(self, sealed: Sealed, address: Address) -> str:
        """The secret. Raises UnopenableError."""
        return _decrypt(self._data_key(sealed, address), sealed.ciphertext, address).decode()

    def rewrap(self, sealed: Sealed, address: Address) -> Sealed:
        """The same ciphertext, its data key wrapped by the primary key. Raises UnopenableError."""
        wrapped_key = _encrypt(self._keys[self.primary], self._data_key(sealed, address), address)
        return Sealed(sealed.ciphertext, wrapped_key, self.primary)

    def fingerprint(self, secret: str, organization_id: str) -> bytes:
        """32 bytes that are equal for equal keys inside one organization, as long as the primary key is the same.

        Nobody without the keyring can try keys against it, or see that two organizations share one.
        """
        derive = HKDF(SHA256(), KEY_BYTES, salt=None, info=_FINGERPRINT)
        told = _length_prefixed(organization_id.encode(), secret.encode())
        return hmac.digest(derive.derive(self._keys[self.primary]), told, hashlib.sha256)

    def _data_key(self, sealed: Sealed, address: Address) -> bytes:
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise UnopenableError("the keyring lacks its key")
        return _decrypt(key, sealed.wrapped_key, address)


def hint_of(secret: str) -> str:
    """Its last four characters; nothing of a key so short that they would be much of it."""
    return secret[-_HINT_CHARS:] if len(secret) >= _HINTED_CHARS else ""


def _decoded(encoded: str) -> bytes:
    plain = encoded.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        raise KeyringError("must be ID:KEY,ID:KEY,… with each KEY in base64") from None


def _length_prefixed(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(part)) + part for part in parts)


def _encrypt(key: bytes, plain: bytes, address: Address) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return bytes((ALGORITHM,)) + nonce + _CIPHERS[ALGORITHM](key).encrypt(nonce, plain, address.aad())


def _decrypt(key: bytes, sealed: bytes, address: Address) -> bytes:
    """Raises UnopenableError, always with the same text: what failed is nobody's business."""
    try:
        cipher = _CIPHERS[sealed[0]](key)
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        return cipher.decrypt(nonce, rest, address.aad())
    except (InvalidTag, KeyError, IndexError, ValueError, UnsupportedAlgorithm):
        raise UnopenableError("the row, its bytes or the key differ from those that it was sealed with") from None
