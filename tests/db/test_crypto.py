"""Envelope encryption: what was sealed for a row opens in that row, with that keyring and those bytes, or not at all."""

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from db import crypto
from db.crypto import Address, Keyring, KeyringError, Sealed, UnopenableError, hint_of

SECRET = "sk-ant-api03-canary-0123456789"
HERE, THERE, ANA, BEN, ROW, OTHER = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in range(1, 7))
ADDRESS = Address(HERE, ANA, "ANTHROPIC", ROW, 1)
OLD, NEW = (hashlib.sha256(name).digest() for name in (b"old", b"new"))  # test ids must not change between processes
RING = Keyring({"old": OLD})
BOTH = Keyring({"new": NEW, "old": OLD})


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def changed_in(sealed: Sealed, name: str, value: bytes) -> Sealed:
    return replace(sealed, ciphertext=value) if name == "ciphertext" else replace(sealed, wrapped_key=value)


# ── moved, changed, or with another key: closed ──────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(ADDRESS, organization_id=THERE),
        replace(ADDRESS, user_id=BEN),
        replace(ADDRESS, provider="OPENAI"),
        replace(ADDRESS, id=OTHER),
        replace(ADDRESS, version=2),
        replace(ADDRESS, organization_id=ANA, user_id=HERE),
    ],
    ids=["organization", "user", "provider", "row", "version", "fields exchanged"],
)
def test_what_was_sealed_for_one_row_does_not_open_in_another(elsewhere: Address) -> None:
    mine, theirs = RING.seal(SECRET, ADDRESS), RING.seal("another key", elsewhere)
    moved = [
        (mine, elsewhere),
        (Sealed(mine.ciphertext, theirs.wrapped_key, "old"), elsewhere),
        (Sealed(theirs.ciphertext, mine.wrapped_key, "old"), elsewhere),
        (Sealed(theirs.ciphertext, mine.wrapped_key, "old"), ADDRESS),
        (Sealed(mine.ciphertext, theirs.wrapped_key, "old"), ADDRESS),
    ]
    for sealed, address in moved:
        with pytest.raises(UnopenableError):
            RING.open(sealed, address)
        with pytest.raises(UnopenableError):
            RING.open(RING.rewrap(sealed, address), address)
    assert RING.open(mine, ADDRESS) == SECRET


def test_no_byte_can_be_changed_and_none_be_missing_or_added() -> None:
    sealed = RING.seal(SECRET, ADDRESS)
    for name in ("ciphertext", "wrapped_key"):
        whole: bytes = getattr(sealed, name)
        changed = [
            whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (0, 7)
        ]
        changed += [whole[:at] for at in range(len(whole))] + [whole + b"\0", b"\0" + whole, whole + whole]
        for bad in changed:
            with pytest.raises(UnopenableError):
                RING.open(changed_in(sealed, name, bad), ADDRESS)


def test_another_key_opens_nothing_by_whatever_name() -> None:
    sealed = RING.seal(SECRET, ADDRESS)
    for ring in (Keyring({"old": NEW}), Keyring({"new": NEW}), Keyring({"new": OLD})):
        with pytest.raises(UnopenableError):
            ring.open(sealed, ADDRESS)
        with pytest.raises(UnopenableError):
            ring.rewrap(sealed, ADDRESS)
    for key_id in ("new", "", "OLD", "demo"):
        with pytest.raises(UnopenableError):
            BOTH.open(replace(sealed, key_id=key_id), ADDRESS)


def test_a_refusal_says_neither_what_it_is_about_nor_what_came_before() -> None:
    sealed = RING.seal(SECRET, ADDRESS)
    with pytest.raises(UnopenableError) as caught:
        RING.open(replace(sealed, ciphertext=sealed.wrapped_key), ADDRESS)
    assert not any(part in str(caught.value) for part in (SECRET, ROW, ANA, "old"))
    assert caught.value.__cause__ is None


# ── sealing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_every_record_has_a_data_key_and_nonces_of_its_own() -> None:
    one, two = RING.seal(SECRET, ADDRESS), RING.seal(SECRET, ADDRESS)
    assert len({one.ciphertext[:13], two.ciphertext[:13], one.wrapped_key[:13], two.wrapped_key[:13]}) == 4
    with pytest.raises(UnopenableError):
        RING.open(Sealed(one.ciphertext, two.wrapped_key, "old"), ADDRESS)
    assert SECRET.encode() not in one.ciphertext
    assert len(one.wrapped_key) == 1 + 12 + 32 + 16


def test_rewrapping_leaves_the_ciphertext_and_needs_the_old_key_no_more() -> None:
    sealed = RING.seal(SECRET, ADDRESS)
    again = BOTH.rewrap(sealed, ADDRESS)
    assert (again.ciphertext, again.key_id) == (sealed.ciphertext, "new")
    assert Keyring({"new": NEW}).open(again, ADDRESS) == SECRET
    assert BOTH.open(sealed, ADDRESS) == BOTH.open(again, ADDRESS) == SECRET
    with pytest.raises(UnopenableError):
        RING.open(again, ADDRESS)


def test_what_a_row_is_bound_to_is_length_prefixed() -> None:
    parts = (b"minutebook:byok:v1", HERE.encode(), ANA.encode(), b"ANTHROPIC", ROW.encode(), b"1")
    assert ADDRESS.aad() == b"".join(struct.pack(">i", len(part)) + part for part in parts)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_comes_back_as_it_was(secret: str) -> None:
    assert RING.open(RING.seal(secret, ADDRESS), ADDRESS) == secret


def test_where_openssl_lacks_siv_gcm_seals_and_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with_siv = RING.seal(SECRET, ADDRESS)
    monkeypatch.setattr(crypto, "ALGORITHM", 2)
    with_gcm = RING.seal(SECRET, ADDRESS)
    assert (with_siv.ciphertext[0], with_gcm.ciphertext[0]) == (1, 2)
    assert RING.open(with_gcm, ADDRESS) == RING.open(with_siv, ADDRESS) == SECRET
    for sealed, other in ((with_siv, 2), (with_gcm, 1), (with_gcm, 3), (with_gcm, 0)):
        with pytest.raises(UnopenableError):
            RING.open(replace(sealed, ciphertext=bytes([other]) + sealed.ciphertext[1:]), ADDRESS)

    def absent(_key: bytes) -> None:
        raise UnsupportedAlgorithm("SIV")

    monkeypatch.setattr(crypto, "AESGCMSIV", absent)
    assert crypto._best_algorithm() == 2
    monkeypatch.setitem(crypto._CIPHERS, 1, absent)
    with pytest.raises(UnopenableError):
        RING.open(with_siv, ADDRESS)


# ── what stands beside it ────────────────────────────────────────────────────────────────────────────────────────────
def test_equal_keys_are_known_inside_one_organization_alone() -> None:
    mine = RING.fingerprint(SECRET, HERE)
    assert mine == RING.fingerprint(SECRET, HERE)
    others = [RING.fingerprint(SECRET, THERE), RING.fingerprint(SECRET + "x", HERE), BOTH.fingerprint(SECRET, HERE)]
    guessed = [hashlib.sha256(SECRET.encode()).digest(), hmac.digest(OLD, SECRET.encode(), "sha256")]
    assert len({mine, *others, *guessed}) == 6
    assert len(mine) == 32


@pytest.mark.parametrize(
    ("secret", "hint"),
    [("a", ""), ("12345678901", ""), ("123456789012", "9012"), (SECRET, "6789"), ("ключ" * 3, "ключ")],
)
def test_a_hint_is_four_characters_and_of_a_short_key_none(secret: str, hint: str) -> None:
    assert hint_of(secret) == hint


# ── the keyring ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "write",
    [
        lambda ring: ring,
        lambda ring: ring.replace("=", ""),
        lambda ring: ring.replace("+", "-").replace("/", "_"),
        lambda ring: f" {ring.replace(',', ' , ')} ,",
    ],
)
def test_a_keyring_is_read_in_either_alphabet_and_its_first_key_seals(write: Callable[[str], str]) -> None:
    ring = Keyring.parse(write(f"new:{encoded(NEW)},old:{encoded(OLD)}"))
    assert (list(ring), ring.primary) == (["new", "old"], "new")
    assert "old" in ring
    assert "older" not in ring
    assert ring.open(RING.seal(SECRET, ADDRESS), ADDRESS) == SECRET
    assert Keyring({"new": NEW}).open(ring.seal(SECRET, ADDRESS), ADDRESS) == SECRET


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "hunter2",
        "a:hunter2",
        "a:hunter2!",
        "a:ключ",
        f":{encoded(NEW)}",
        f"demo:{encoded(NEW)}",
        f"a b:{encoded(NEW)}",
        f"{'a' * 64}:{encoded(NEW)}",
        f"a:{encoded(NEW[:31])}",
        f"a:{encoded(NEW + b'x')}",
        f"a:{encoded(NEW)},a:{encoded(OLD)}",
        f"a:{encoded(NEW)},b:{encoded(NEW)}",
        f"a:{encoded(bytes(32))}",
        f"a:{encoded(b'hunter2hunter2hunter2hunter2hunt')}",
    ],
)
def test_a_bad_keyring_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeyringError) as caught:
        Keyring.parse(text)
    assert "hunter2" not in str(caught.value)
    assert encoded(NEW)[:8] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_keyring_shows_ids_alone() -> None:
    assert repr(BOTH) == str(BOTH) == "Keyring(new, old)"
