"""The secret that signs this installation's own tokens: made once, readable by its owner alone, never printed."""

import os
import secrets
from pathlib import Path
from typing import Final

from api.settings.variables import SettingsError

FILE: Final = "token-secret"


def own_secret(home: Path) -> str:
    """The secret of `home`, made when it is not there yet. Two processes that start at once get the same one."""
    file = home / FILE
    try:
        return _read(file)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SettingsError("MINUTEBOOK_HOME", f"cannot be read: {error.strerror}") from None
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = home / f"{FILE}.{secrets.token_hex(8)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as writer:
            writer.write(secrets.token_urlsafe(48))
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
        raise SettingsError("MINUTEBOOK_HOME", f"holds a {FILE} that others may read; chmod 600 it, or delete it")
    return file.read_text().strip()
