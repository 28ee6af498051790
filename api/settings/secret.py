"""Secrets of this installation's own: made once, readable by their owner alone, never printed."""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from api.settings.variables import SettingsError

TOKENS: Final = "token-secret"
KEYRING: Final = "keyring"
AUDIT: Final = "audit-key"


def own_secret(home: Path) -> str:
    """What signs the tokens of `home`, made when it is not there yet."""
    return _kept(home / TOKENS, lambda: secrets.token_urlsafe(48))


def own_keyring(home: Path) -> str:
    """The keyring of `home` as KEYRING would have it, made with one key when it is not there yet."""
    return _kept(
        home / KEYRING, lambda: f"dev-{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(32)).decode()}"
    )


def own_audit_key(home: Path) -> str:
    """What signs the checkpoints of `home` as AUDIT_SIGNING_KEY would have it, made when it is not there yet."""
    from audit_verifier.note import PrivateKey

    return _kept(home / AUDIT, lambda: PrivateKey.generate("minutebook").secret_text())


def _kept(file: Path, make: Callable[[], str]) -> str:
    """The file's text. Two processes that start at once get the same one. Raises SettingsError."""
    home = file.parent
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SettingsError("MINUTEBOOK_HOME", f"cannot be read: {error.strerror}") from None
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = home / f"{file.name}.{secrets.token_hex(8)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writer:
            writer.write(make())
        try:
            file.hardlink_to(fresh)  # whole or not at all, and the first one wins
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        return _read(file)
    except OSError as error:
        raise SettingsError("MINUTEBOOK_HOME", f"cannot be written: {error.strerror}") from None


def _read(file: Path) -> str:
    if file.stat().st_mode & 0o077:
        raise SettingsError("MINUTEBOOK_HOME", f"holds a {file.name} that others may read; chmod 600 it, or delete it")
    return file.read_text().strip()
