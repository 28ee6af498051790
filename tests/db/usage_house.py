"""An organization with conversations and usage, to act in by role."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg


@dataclass(frozen=True)
class House:
    urls: Any
    organization: str
    user: str

    @asynccontextmanager
    async def acting(self, role: str = "none", user: str | None = None) -> AsyncIterator[Any]:
        login = {"app_service": self.urls.ingest, "none": self.urls.operator}.get(role, self.urls.api)
        who = "" if role in {"app_service", "none"} else user or self.user
        connection = await asyncpg.connect(login)
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(
                    f"SELECT app.begin_request('{self.organization}', '{who}', '{self.user}', '{role}', 'req-1', 30000)"
                )
                yield connection
        finally:
            await connection.close()

    async def add_user(self) -> str:
        async with self.acting() as operator:
            return str(
                await operator.fetchval(
                    "INSERT INTO app.users (organization_id, role) VALUES ($1, 'MEMBER') RETURNING id",
                    self.organization,
                )
            )

    async def add_conversation(self, user: str | None = None, *, at: str = "2026-01-01T00:00:00Z") -> str:
        async with self.acting() as operator:
            return str(
                await operator.fetchval(
                    "INSERT INTO app.ai_conversations (organization_id, user_id, created_at, updated_at)"
                    " VALUES ($1, $2, $3, $3) RETURNING id",
                    self.organization,
                    user or self.user,
                    moment(at),
                )
            )

    async def say(
        self, conversation: str, *messages: tuple[str, str | None, int | None], user: str | None = None
    ) -> None:
        """messages: (time, model, tokens), inserted by one statement; the cost is the tokens times three."""
        async with self.acting() as operator:
            await operator.execute(
                "INSERT INTO app.ai_messages (organization_id, conversation_id, user_id, role, content, created_at, model,"
                " tokens_used, cost_micro_usd) SELECT $1, $2, $3, 'ASSISTANT', 'x', t, m, n, n * 3"
                " FROM unnest($4::timestamptz[], $5::text[], $6::bigint[]) AS x (t, m, n)",
                self.organization, conversation, user or self.user,
                [moment(at) for at, _, _ in messages], [model for _, model, _ in messages], [tokens for _, _, tokens in messages],
            )  # fmt: skip

    async def rollup(self, conversation: str) -> Any:
        async with self.acting() as operator:
            return await operator.fetchrow(
                "SELECT message_count, tokens_used, cost_micro_usd, last_message_at, model_used, updated_at"
                " FROM app.ai_conversations WHERE id = $1",
                conversation,
            )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def found(urls: Any, slug: str, zone: str = "UTC") -> House:
    connection = await asyncpg.connect(urls.operator)
    try:
        organization = await connection.fetchval(
            "INSERT INTO app.organizations (slug, name, kind, timezone) VALUES ($1, $1, 'TEAM', $2) RETURNING id",
            slug,
            zone,
        )
        user = await connection.fetchval(
            "INSERT INTO app.users (organization_id, role) VALUES ($1, 'MEMBER') RETURNING id", organization
        )
        return House(urls, str(organization), str(user))
    finally:
        await connection.close()
