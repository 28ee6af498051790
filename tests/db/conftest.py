"""What tests of connections share."""

import pytest

from db.ahead import Ahead


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent ahead."""
    sent: list[str] = []
    send = Ahead.send

    def told(ahead: Ahead, sql: str) -> None:
        sent.append(sql)
        send(ahead, sql)

    monkeypatch.setattr(Ahead, "send", told)
    return sent
