"""The command: options, wiring, exit codes. What takes long to import is imported in the commands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pkgharvest.version import __version__

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pkgharvest.console import Console
    from pkgharvest.errors import PkgharvestError
    from pkgharvest.output import Documents, Format
    from pkgharvest.record import Record
    from pkgharvest.settings import Settings
    from pkgharvest.targets import Target

EPILOGUE = """
Exit codes: 0 every target gave a record - 1 an error of pkgharvest itself - 2 the command line or an input
is wrong, nothing was asked - 3 some targets failed, every other one is written - 4 the token was refused -
5 stopped by a rate limit longer than --max-wait, run again to go on - 6 no upstream could be reached -
7 the output cannot be written - 130 interrupted - 141 stdout was closed.
"""
"""Shown below the help of the command."""

app = typer.Typer(
    name="pkgharvest",
    help="Harvest package metadata from PyPI and GitHub into records of the Django Packages API.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001  the form of Typer's callbacks
    if wanted:
        typer.echo(f"pkgharvest {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Take the options that stand before the command."""


@app.command(epilog=EPILOGUE)
def fetch(  # noqa: PLR0913  each is an option of the command
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TARGET]...",
            help="Slugs, PyPI names, or URLs of PyPI, Django Packages or a repository.",
            show_default=False,
        ),
    ] = None,
    *,
    catalog: Annotated[
        bool, typer.Option("--catalog", help="Ask Django Packages for the fields that only it knows.")
    ] = False,
    base: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Earlier records to start from, in any of the formats."),
    ] = None,
    form: Annotated[
        Literal["json", "jsonl", "list"],
        typer.Option("--format", "-f", help="Documents one after the other, one a line, or the API's list."),
    ] = "json",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write here instead of stdout; replaced whole or not at all.",
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Write times in this zone.")
    ] = "America/New_York",
    max_wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for rate limits, in all.")
    ] = 60.0,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE.har", help="Write down what is asked and answered.")
    ] = None,
    replay: Annotated[
        str | None, typer.Option(metavar="FILE.har", help="Answer from a recording; 'demo' is shipped.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Tell errors alone.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more, and the costs.")] = False,
) -> None:
    """Write the record of each package, as the Django Packages API shows it.

    The token for GitHub comes from GITHUB_TOKEN or GH_TOKEN. PKGHARVEST_GITHUB_URL, PKGHARVEST_PYPI_URL
    and PKGHARVEST_CATALOG_URL name other addresses of the services.

    pkgharvest fetch django-pghistory | jq .repo_watchers

    pkgharvest fetch --catalog -o packages.json --format list django-ltree django-pghistory
    """
    with _exit_codes(quiet=quiet, verbose=verbose) as console:
        from dataclasses import replace

        from pkgharvest.errors import SettingError
        from pkgharvest.settings import Settings

        settings = replace(
            Settings.from_environment(os.environ),
            timezone=timezone,
            max_wait=max_wait,
            catalog=catalog,
            record=record,
            replay=replay,
        )
        if output is not None and record is not None and Path(output).resolve() == record.resolve():
            raise SettingError("--output and --record name the same file")
        parsed = _parsed(targets or [], settings, console)
        code = _run(settings, parsed, _read_bases(base), _sink(form, output), console)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    app(prog_name="pkgharvest")


def _run(
    settings: Settings,
    targets: list[Target],
    bases: list[Record],
    sink: AbstractContextManager[Documents],
    console: Console,
) -> int:
    """Harvest, write and tell; return the exit code."""
    import asyncio
    import time
    from contextlib import aclosing

    from pkgharvest.results import Failure, Harvested
    from pkgharvest.session import Session

    failures: set[int] = set()
    records = 0

    async def run() -> None:
        nonlocal records
        started = time.monotonic()
        with sink as documents:
            async with (
                Session(settings, base=bases) as session,
                aclosing(session.harvest(targets)) as results,
            ):
                async for result in results:
                    console.result(result)
                    if isinstance(result, Harvested):
                        documents.add(result.record)
                        records += 1
                    elif isinstance(result, Failure):
                        failures.add(_code_of(result.error))
        console.summary(time.monotonic() - started, session.gates)

    asyncio.run(run())
    return _exit_code(failures, records)


def _parsed(texts: list[str], settings: Settings, console: Console) -> list[Target]:
    """Return the targets, or tell every one that cannot be parsed."""
    from pkgharvest.errors import TargetError
    from pkgharvest.targets import parse_target

    if not texts:
        raise typer.BadParameter("give at least one target", param_hint="TARGET")
    hosts = settings.hosts
    if settings.replay is not None:
        from pkgharvest.session import in_force

        hosts = in_force(settings).hosts
    targets: list[Target] = []
    for text in texts:
        try:
            targets.append(parse_target(text, hosts))
        except TargetError as error:
            console.error(error)
    if len(targets) < len(texts):
        raise typer.Exit(USAGE)
    return targets


def _read_bases(path: Path | None) -> list[Record]:
    from pkgharvest.errors import SettingError
    from pkgharvest.record import RecordError, decode_records

    if path is None:
        return []
    try:
        return list(decode_records(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise SettingError(f"the base records in {path} cannot be read: {error.strerror}") from error
    except (RecordError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} holds what is not a record: {error}") from error


def _sink(form: Format, output: str | None) -> AbstractContextManager[Documents]:
    from pkgharvest.errors import OutputError
    from pkgharvest.output import in_file, on_stream

    if output is None or output == "-":
        if sys.stdout is None:  # the caller closed it
            raise OutputError("the standard output is closed")
        return on_stream(form, sys.stdout.buffer)
    if output.endswith(os.sep):
        raise OutputError(f"{output} names a folder", "Name a file")
    return in_file(form, Path(output))


USAGE = 2


def _exit_code(failures: set[int], records: int) -> int:
    """Return the exit code of a run, from those of its failures and the number of its records."""
    if failures == {6} and records == 0:
        return 6
    return min(failures & {4, 5}, default=3 if failures else 0)


def _code_of(error: PkgharvestError) -> int:
    """Return the exit code of a run in which only this failed."""
    from pkgharvest.errors import RateLimitedError, TokenRefusedError, UnreachableError

    codes = {TokenRefusedError: 4, RateLimitedError: 5, UnreachableError: 6}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 3)


@contextmanager
def _exit_codes(*, quiet: bool, verbose: bool) -> Iterator[Console]:
    """Yield the console, and turn what ends a command into a line on it and an exit code."""
    from pkgharvest.console import Console
    from pkgharvest.errors import OutputError, PkgharvestError, SettingError, TargetError
    from pkgharvest.settings import TokenSettingError

    console = Console(sys.stderr or io.StringIO(), quiet=quiet, verbose=verbose)
    codes = {
        TokenSettingError: 4,
        SettingError: USAGE,
        TargetError: USAGE,
        OutputError: 7,
        PkgharvestError: 1,
    }
    try:
        yield console
    except PkgharvestError as error:
        console.error(error)
        if isinstance(error, OutputError):
            _forget_buffered()
        raise typer.Exit(next(code for kind, code in codes.items() if isinstance(error, kind))) from error
    except BrokenPipeError as error:
        _forget_buffered()
        raise typer.Exit(141) from error
    except KeyboardInterrupt as error:
        console.error(PkgharvestError("interrupted"))
        raise typer.Exit(130) from error


def _forget_buffered() -> None:
    """Let what stdout could not take go nowhere, so that Python does not try again when it ends."""
    with suppress(AttributeError, OSError):  # it is closed, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
