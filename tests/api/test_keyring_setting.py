"""KEYRING: given in production, made once in dev; never a default key, never shown."""

import base64
import hashlib
import stat
import uuid
from pathlib import Path

import pytest

from api.settings import SettingsError, load
from db.crypto import Address

OLD, NEW = (
    f"{key_id}:{base64.b64encode(hashlib.sha256(key_id.encode()).digest()).decode()}" for key_id in ("old", "new")
)


def test_the_demos_keyring_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = load({"MINUTEBOOK_HOME": str(tmp_path / "home")})
    assert settings.sealing_keys(make=False) is None
    first, again = settings.sealing_keys(), settings.sealing_keys()
    assert first is not None
    assert again is not None
    address = Address(str(uuid.uuid4()), str(uuid.uuid4()), "OPENAI", str(uuid.uuid4()), 1)
    assert again.open(first.seal("secret", address), address) == "secret"
    file = tmp_path / "home" / "keyring"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["keyring"]
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="keyring that others may read"):
        settings.sealing_keys()
    file.chmod(0o600)
    file.write_text("dev:hunter2")
    with pytest.raises(SettingsError, match="MINUTEBOOK_HOME holds a keyring that") as caught:
        settings.sealing_keys()
    assert "hunter2" not in str(caught.value)


def test_there_is_no_keyring_in_production_but_the_given_one(tmp_path: Path) -> None:
    environment = {"MINUTEBOOK_HOME": str(tmp_path), "ENVIRONMENT": "prod"}
    assert load(environment).sealing_keys() is None
    assert not list(tmp_path.iterdir())
    given = load(environment | {"KEYRING": f"{NEW},{OLD}"})
    assert list(given.sealing_keys() or ()) == ["new", "old"]
    assert NEW.partition(":")[2] not in repr(given)


@pytest.mark.parametrize("text", ["hunter2", "old:hunter2", f"{OLD},{OLD}", f"demo:{OLD[4:]}"])
def test_a_bad_keyring_is_refused_by_name_alone(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({"KEYRING": text})
    assert str(caught.value).startswith("KEYRING ")
    assert "hunter2" not in str(caught.value)
    assert OLD[4:] not in str(caught.value)
