"""`minutebook doctor`: whether the installation is safe to run."""

import stat
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import rich_click as click

from api.cli.connections import CREDENTIALS, Database, connected, opened, run_async
from api.settings import Settings, load
from api.settings.secret import AUDIT, KEYRING, TOKENS

if TYPE_CHECKING:
    import asyncpg

    from db.crypto import Keyring
    from db.doctor import Finding

SECRET_FILES: Final = (CREDENTIALS, TOKENS, KEYRING, AUDIT)


@click.command()
def doctor() -> None:
    """Examine the installation: one line per condition, exit code 1 if any does not hold."""
    settings = load()
    with opened(settings) as database:
        findings = [*_files(settings), *run_async(_examined(database, settings.sealing_keys(make=False)))]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = click.style("passed", fg="green") if finding.passed else click.style("FAILED", fg="red", bold=True)
        click.echo(f"{mark}  {finding.name:<{width}}  {finding.detail}")
    failed = sum(not finding.passed for finding in findings)
    if failed:
        raise click.ClickException(f"{failed} of {len(findings)} conditions do not hold")


async def _examined(database: Database, keyring: "Keyring | None") -> list["Finding"]:
    """Everything, each question as the login that it is about."""
    from db import doctor as asks
    from db.migrate import head

    async def ask(login: str, question: Callable[["asyncpg.Connection[Any]"], Awaitable[Sequence["Finding"]]]) -> Any:
        async def answer() -> Sequence["Finding"]:
            async with connected(database.url(login)) as connection:
                return await question(connection)

        return await asks.examine(f"the {login} login connects", answer)

    async def catalogue(connection: "asyncpg.Connection[Any]") -> list["Finding"]:
        return [
            *await asks.versions(connection),
            await asks.tables_are_guarded(connection),
            await asks.head_is(connection, head()),
            await asks.partitions_are_ready(connection),
            *await asks.document_tables(connection),
        ]

    async def sealed(connection: "asyncpg.Connection[Any]") -> list["Finding"]:
        return [
            await asks.sealing_keys_are_known(connection, keyring),
            await asks.chains_are_signed(connection),
        ]

    found: list[Finding] = []
    for login in ("api", "ingest"):

        async def harmless(connection: "asyncpg.Connection[Any]", login: str = login) -> list["Finding"]:
            return [await asks.login_is_harmless(connection, login), await asks.roles_are_apart(connection, login)]

        found += await ask(login, harmless)
    found += await ask("operator" if database.urls.operator else "api", catalogue)
    if database.urls.operator:  # people's keys of all organizations are the operator's to count
        found += await ask("operator", sealed)
    return found


def _files(settings: Settings) -> list["Finding"]:
    from db.doctor import Finding

    files = [settings.home / name for name in SECRET_FILES if (settings.home / name).exists()]
    loose = [file.name for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077]
    detail = f"others may read {', '.join(loose)}" if loose else ", ".join(file.name for file in files) or "none kept"
    return [Finding("generated secrets are private", not loose, detail)]
