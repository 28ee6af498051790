"""The file of generated passwords: one JSON object, role name → password, readable by its owner alone.

Decision: PostgreSQL is only ever told a SCRAM verifier, so no password reaches a server's log.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

_SCRAM_ITERATIONS = 4096


class CredentialsError(RuntimeError):
    """The file of passwords cannot be read."""


class Credentials:
    """Passwords by role name; each is made on first use and kept from then on."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self) -> dict[str, str]:
        """Every password in the file; empty when there is no file. Raises CredentialsError when it is damaged."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise CredentialsError(_damaged(self.path)) from error
        if not isinstance(content, dict):
            raise CredentialsError(_damaged(self.path))
        return {str(role): str(password) for role, password in content.items()}

    def passwords(self, roles: list[str]) -> dict[str, str]:
        """The password of each role; those missing are made and saved together."""
        known = self.known()
        made = {role: secrets.token_urlsafe(24) for role in roles if role not in known}
        if made:
            self._save(known | made)
        return {role: (known | made)[role] for role in roles}

    def _save(self, content: dict[str, str]) -> None:
        """Replace the file in one step: a crash leaves the old passwords or the new ones, never half of them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


def scram_verifier(password: str) -> str:
    """What PostgreSQL stores for an ASCII password (RFC 5803), made here instead of by the server."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode("ascii") for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def _damaged(path: Path) -> str:
    return f"{path} is not a JSON object of passwords; delete it, and the next start makes new ones"
