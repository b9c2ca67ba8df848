"""The command: options, wiring, exit codes. What takes long to import is imported in the commands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from pkgharvest.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from pkgharvest.console import Console
    from pkgharvest.net.cache import Store
    from pkgharvest.output import Documents, Format
    from pkgharvest.results import Failure
    from pkgharvest.settings import Settings
    from pkgharvest.targets import Hosts, Target

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


cache_app = typer.Typer(
    help="Look at the stored answers, or drop them.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(cache_app, name="cache")


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
    lists: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="FILE", help="Targets, one a line; - is stdin. Repeatable."),
    ] = None,
    catalog: Annotated[
        bool, typer.Option("--catalog", help="Ask Django Packages for the fields that only it knows.")
    ] = False,
    base: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Earlier records to start from, in any format."),
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
            help="Write here, not to stdout; replaced whole or not at all.",
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Write times in this zone.")
    ] = "America/New_York",
    max_wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for rate limits, in all.")
    ] = 60.0,
    jobs: Annotated[int, typer.Option(min=1, metavar="N", help="Requests under way to GitHub at once.")] = 12,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", help="Ask also for what cannot have changed or was missing."),
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Store no answers, and use none.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Answer from what is stored, whatever its age.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask nothing; tell what the run would cost.")
    ] = False,
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

    pkgharvest fetch --from packages.txt --base old.jsonl -f jsonl -o new.jsonl
    """
    with _exit_codes(quiet=quiet, verbose=verbose) as console:
        from dataclasses import replace

        from pkgharvest.errors import SettingError
        from pkgharvest.settings import Settings

        settings = replace(
            Settings.from_environment(os.environ),
            timezone=timezone,
            max_wait=max_wait,
            jobs=jobs,
            refresh=refresh,
            cache=not no_cache,
            offline=offline,
            catalog=catalog,
            record=record,
            replay=replay,
        )
        if output is not None and record is not None and Path(output).resolve() == record.resolve():
            raise SettingError("--output and --record name the same file")
        hosts = _hosts(settings)
        named = _targets(_parsed(targets or [], hosts, console), lists or [], hosts)

        from pkgharvest import run

        bases = run.read_bases(base) if base else []
        if dry_run:
            for line in run.plan(settings, named, bases, _now(), console):
                typer.echo(line)
            return
        code = run.fetch(settings, named, bases, _sink(form, output), console)
    raise typer.Exit(code)


@app.command()
def limits(
    *,
    form: Annotated[
        Literal["text", "json"], typer.Option("--format", "-f", help="For people or programs.")
    ] = "text",
) -> None:
    """Show what is left of GitHub's rate limits, REST and GraphQL.

    pkgharvest limits

    pkgharvest limits --format json | jq .core.remaining
    """
    with _exit_codes(quiet=False, verbose=False):
        from pkgharvest import run
        from pkgharvest.settings import Settings

        quotas = run.limits(Settings.from_environment(os.environ))
        if form == "json":
            typer.echo(run.limits_json(quotas), nl=False)
            return
        for resource, name in (("core", "REST"), ("graphql", "GraphQL")):
            if resource in quotas:
                typer.echo(f"GitHub {name}: {run.left(quotas[resource])}")


@cache_app.command("info")
def cache_info() -> None:
    """Show where answers are stored, how many and how large.

    pkgharvest cache info
    """
    with _store() as store:
        contents = store.contents()
        typer.echo(f"{contents.path}: {contents.answers} answers, {contents.size} bytes")
        if contents.oldest and contents.newest:
            first, last = (f"{moment:%Y-%m-%d %H:%M}" for moment in (contents.oldest, contents.newest))
            typer.echo(f"last confirmed between {first} and {last} UTC")


@cache_app.command("clear")
def cache_clear() -> None:
    """Drop all stored answers.

    pkgharvest cache clear
    """
    with _store() as store:
        answers = store.contents().answers
        store.clear()
        typer.echo(f"{answers} answers dropped")


def main() -> None:
    """Run the command line."""
    app(prog_name="pkgharvest")


USAGE = 2


def _hosts(settings: Settings) -> Hosts:
    if settings.replay is None:
        return settings.hosts
    from pkgharvest.session import in_force

    return in_force(settings).hosts


def _parsed(texts: list[str], hosts: Hosts, console: Console) -> list[Target]:
    """Return the targets of the command line, or tell every one that cannot be parsed."""
    from pkgharvest.errors import TargetError
    from pkgharvest.targets import parse_target

    targets: list[Target] = []
    for text in texts:
        try:
            targets.append(parse_target(text, hosts))
        except TargetError as error:
            console.error(error)
    if len(targets) < len(texts):
        raise typer.Exit(USAGE)
    return targets


def _targets(
    targets: list[Target], names: list[str], hosts: Hosts
) -> list[Target] | AsyncGenerator[Target | Failure]:
    """Return the targets of the command line, followed by those of the lists."""
    if not names:
        if not targets:
            raise typer.BadParameter("give at least one target, or a list with --from", param_hint="TARGET")
        return targets

    from pkgharvest import lists

    stdin = None if sys.stdin is None else sys.stdin.buffer
    lists.check(names, stdin)

    async def chain() -> AsyncGenerator[Target | Failure]:
        for target in targets:
            yield target
        async for item in lists.targets_in(names, stdin, hosts):
            yield item

    return chain()


def _now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)


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


@contextmanager
def _store() -> Iterator[Store]:
    """Yield the stored answers of the user."""
    with _exit_codes(quiet=False, verbose=False) as console:
        from contextlib import closing

        from pkgharvest.net.cache import Store
        from pkgharvest.settings import Settings

        with closing(Store(Settings.from_environment(os.environ).store_folder, console.warning)) as store:
            yield store


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
            _forget_buffered(sys.stdout)
        raise typer.Exit(next(code for kind, code in codes.items() if isinstance(error, kind))) from error
    except BrokenPipeError as error:
        _forget_buffered(sys.stdout)
        raise typer.Exit(141) from error
    except KeyboardInterrupt as error:
        console.error(PkgharvestError("interrupted"))
        raise typer.Exit(130) from error
    finally:
        try:
            if sys.stderr is not None:
                sys.stderr.flush()
        except OSError:
            _forget_buffered(sys.stderr)


def _forget_buffered(stream: TextIO | None) -> None:
    """Let what a stream could not take go nowhere, so that Python does not try again when it ends."""
    with suppress(AttributeError, OSError):  # it is closed, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]  # see above
