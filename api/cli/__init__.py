"""`minutebook`: what an operator does from a shell. One file per subject; what is heavy is imported by the command
that needs it, so `--help` answers at once. A wrong use is one line and exit code 2, a failure one line and 1.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import rich_click as click
from click.exceptions import NoArgsIsHelpError

from api.cli import audit, database, inspection, keys, members, schema, server, tokens
from api.settings import SettingsError

__all__ = ["cli", "main"]


def _version() -> str:
    try:
        return version("minutebook")
    except PackageNotFoundError:
        return "0 (not installed)"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(_version(), prog_name="minutebook")
def cli() -> None:
    """The official record of what an AI assistant was asked, answered, did, cost and noticed.

    Everything is configured by environment variables; the README lists them.
    """


cli.add_command(server.run)
cli.add_command(server.serve)
cli.add_command(database.migrate)
cli.add_command(database.seed)
cli.add_command(database.maintain)
cli.add_command(tokens.token)
cli.add_command(members.organization)
cli.add_command(members.member)
cli.add_command(audit.audit)
cli.add_command(keys.keys)
cli.add_command(schema.schema)
cli.add_command(inspection.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="minutebook", standalone_mode=False)
    except NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        return _refuse(error.format_message(), error.exit_code)
    except SettingsError as error:
        return _refuse(str(error), 2)
    except (click.Abort, KeyboardInterrupt):
        return 130
    return code if isinstance(code, int) else 0


def _refuse(problem: str, code: int) -> int:
    click.echo(f"minutebook: {' '.join(problem.split())}", err=True)
    return code
