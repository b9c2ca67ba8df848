"""The command: options, wiring, exit codes. What takes long to import is imported in the commands."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, NamedTuple, TextIO

import typer

from pkgharvest import options as given
from pkgharvest.options import ENDS, SHORT_ENDS, SHORT_VARIABLES, VARIABLES, Grouped
from pkgharvest.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from pkgharvest.configuration import Configuration
    from pkgharvest.console import Console, LogFormat
    from pkgharvest.net.cache import Store
    from pkgharvest.output import Documents
    from pkgharvest.results import Failure
    from pkgharvest.settings import Settings
    from pkgharvest.targets import Hosts, Named

app = typer.Typer(
    name="pkgharvest",
    help="Harvest the metadata of Python packages, as the Django Packages API shows it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=SHORT_ENDS + SHORT_VARIABLES,
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


@app.command(cls=Grouped, epilog=ENDS + VARIABLES)
def fetch(  # noqa: PLR0913  each is an option of the command
    targets: given.Targets = None,
    *,
    lists: given.Lists = None,
    failed: given.Failed = False,
    strict: given.Strict = False,
    all_catalog: given.AllCatalog = False,
    base: given.Base = None,
    max_age: given.MaxAge = None,
    catalog: given.AsksCatalog = None,
    max_wait: given.MaxWait = None,
    jobs: given.Jobs = None,
    refresh: given.Refresh = None,
    cache: given.UsesCache = None,
    offline: given.Offline = None,
    dry_run: given.DryRun = False,
    record: given.Recorded = None,
    replay: given.Replayed = None,
    form: given.RecordForm = None,
    output: given.Output = None,
    only_changed: given.OnlyChanged = None,
    force: given.Force = False,
    if_running: given.IfRunning = None,
    report: given.ReportFile = None,
    timezone: given.Timezone = None,
    quiet: given.Quiet = False,
    verbose: given.Verbose = False,
    no_color: given.NoColor = False,
    log_format: given.LogForm = None,
    config: given.ConfigFile = None,
) -> None:
    """Write the record of each package, as the API shows it.

    The token for GitHub comes from GITHUB_TOKEN or GH_TOKEN. Most options can be set in files and by
    variables too: 'pkgharvest config' shows what is in force.

    pkgharvest fetch django-pghistory | jq .repo_watchers

    pkgharvest fetch --from packages.txt --base old.jsonl -f jsonl -o new.jsonl
    """
    unattended = output not in (None, "-")
    manner = _Manner(quiet, verbose, unattended=unattended, log_format=log_format, colour=not no_color)
    with _exit_codes(manner) as console:
        chosen: dict[str, object] = {
            "catalog": catalog,
            "format": form,
            "max-age": max_age,
            "only-changed": only_changed,
            "if-running": if_running,
            "timezone": timezone,
            "max-wait": max_wait,
            "jobs": jobs,
            "refresh": refresh,
            "cache": cache,
            "offline": offline,
            "log-format": log_format,
        }
        configuration = _configuration(config, chosen, record=record, replay=replay)
        settings, choices = configuration.settings, configuration.choices
        console.log_as(choices.log_format)
        _check_paths(output, report, record)
        if lists:
            _check_lists(lists, output, report)
        hosts = _hosts(settings)
        named = _parsed(targets or [], hosts, console)
        if all_catalog:
            from pkgharvest.targets import whole_catalog

            named.append(whole_catalog(settings.catalog_url))
        found = _targets(named, lists or [], hosts, failed=failed)

        from pkgharvest import run
        from pkgharvest.errors import BusyError

        if dry_run:
            bases = run.known(base, Path(output) if output else None, hosts)
            for line in run.plan(settings, found, bases, _now(), console, strict=strict):
                _say(line)
            return
        sink = _sink(configuration, output, hosts, force=force)
        order = run.Order(
            found,
            base,
            sink,
            report,
            strict=strict,
            is_finite="-" not in (lists or []),
            is_on_terminal=not unattended and sys.stdout is not None and sys.stdout.isatty(),
        )
        try:
            code = run.fetch(settings, order, hosts, console)
        except BusyError as error:
            if choices.if_running == "fail":
                raise
            console.note(f"{error.message}, so nothing was done")
            code = 0
        if code == OUTPUT:
            _forget_buffered(sys.stdout)
    raise typer.Exit(code)


@app.command(cls=Grouped, epilog=ENDS + VARIABLES)
def show(  # noqa: PLR0913  each is an option of the command
    targets: given.ShownTargets = None,
    *,
    lists: given.Lists = None,
    base: given.Base = None,
    catalog: given.AsksCatalog = None,
    max_wait: given.MaxWait = None,
    refresh: given.Refresh = None,
    cache: given.UsesCache = None,
    offline: given.Offline = None,
    replay: given.Replayed = None,
    form: given.ShownForm = "table",
    rows: given.Rows = False,
    sort: given.Sort = None,
    output: given.Page = None,
    quiet: given.Quiet = False,
    verbose: given.Verbose = False,
    no_color: given.NoColor = False,
    config: given.ConfigFile = None,
) -> None:
    """Show a package as a card, several side by side.

    pkgharvest show django-pghistory

    pkgharvest show snapshots/ --rows --sort stars
    """
    with _exit_codes(_Manner(quiet, verbose, colour=not no_color)) as console:
        from pkgharvest import run
        from pkgharvest.errors import OutputError
        from pkgharvest.show import comparison, gathering, page

        chosen: dict[str, object] = {
            "catalog": catalog,
            "max-wait": max_wait,
            "refresh": refresh,
            "cache": cache,
            "offline": offline,
        }
        settings = _configuration(config, chosen, replay=replay).settings
        hosts = _hosts(settings)
        paths = [text for text in targets or [] if gathering.is_path(text)]
        named = _parsed([text for text in targets or [] if text not in paths], hosts, console)
        for folder in (text for text in targets or [] if text not in paths and Path(text).is_dir()):
            console.warning(f"{folder} is taken for a package; write {folder}/ for the folder")
        gathered = gathering.Gathered()
        code = 0
        for shown in gathering.records_in(paths, hosts):
            if isinstance(shown, comparison.Shown):
                if note := gathered.take_read(shown):
                    console.result(note)
            else:
                console.result(shown)
                code = 3
        if named or lists or not paths:
            found = _targets(named, lists or [], hosts, failed=False)
            is_finite = "-" not in (lists or [])
            order = run.Order(found, base, nullcontext(gathered), is_finite=is_finite, take=gathered.take)
            code = run.fetch(settings, order, hosts, console) or code
        if not gathered.shown and not code:
            console.note("there is nothing to show: no record was found")
        layout = page.Layout(
            form=form,
            rows=rows,
            by=comparison.SortBy(sort) if sort else None,
            colour=False if no_color else None,
        )
        if output is not None:
            page.write_file(gathered.shown, layout, output)
        elif sys.stdout is None:
            raise OutputError("the standard output is closed")
        else:
            page.write(gathered.shown, layout, sys.stdout)
    raise typer.Exit(code)


@app.command()
def limits(
    *,
    form: given.PlainForm = "text",
    config: given.ConfigFile = None,
) -> None:
    """Show what is left of GitHub's rate limits, REST and GraphQL.

    pkgharvest limits

    pkgharvest limits --format json | jq .core.remaining
    """
    with _exit_codes():
        from pkgharvest import run
        from pkgharvest.errors import SettingError

        configuration = _configuration(config)
        if configuration.settings.offline:
            source = configuration.given["offline"].source
            raise SettingError("GitHub tells its limits, and offline is set", f"Unset it: see {source}")
        quotas = run.limits(configuration.settings)
        if form == "json":
            _write_out(run.limits_json(quotas))
            return
        for resource, name in (("core", "REST"), ("graphql", "GraphQL")):
            if resource in quotas:
                _say(f"GitHub {name}: {run.left(quotas[resource])}")


@app.command()
def schema(
    document: Annotated[
        Literal["record", "list", "report"],
        typer.Argument(
            metavar="[record|list|report]",
            help="A record, the list of --format list, or a line of a report.",
        ),
    ] = "record",
) -> None:
    """Show the JSON Schema (draft 2020-12) of what is written.

    pkgharvest schema > record.schema.json

    pkgharvest schema report | jq '."$defs".TargetLine.properties.status'
    """
    with _exit_codes():
        from pkgharvest.schema import encode_schema

        _write_out(encode_schema(document))


@app.command("config")
def show_configuration(
    *,
    form: given.PlainForm = "text",
    config: given.ConfigFile = None,
) -> None:
    """Show the settings in force and where each comes from.

    And the files that were looked for.

    Of the token only the variable is told.

    pkgharvest config

    pkgharvest config --format json | jq .settings.jobs
    """
    with _exit_codes():
        from pkgharvest.configuration import as_json, lines

        configuration = _configuration(config)
        if form == "json":
            _write_out(as_json(configuration).encode())
            return
        for line in lines(configuration):
            _say(line)


@cache_app.command("info")
def cache_info(config: given.ConfigFile = None) -> None:
    """Show where answers are stored, how many and how large.

    pkgharvest cache info

    XDG_CACHE_HOME=/srv/cache pkgharvest cache info
    """
    with _store(config) as store:
        from pkgharvest.errors import printable

        contents = store.contents()
        _say(f"{printable(str(contents.path))}: {contents.answers} answers, {contents.size} bytes")
        if contents.oldest and contents.newest:
            first, last = (f"{moment:%Y-%m-%d %H:%M}" for moment in (contents.oldest, contents.newest))
            _say(f"last confirmed between {first} and {last} UTC")


@cache_app.command("clear")
def cache_clear(config: given.ConfigFile = None) -> None:
    """Drop all stored answers.

    pkgharvest cache clear

    pkgharvest cache clear --config other.toml
    """
    with _store(config) as store:
        answers = store.contents().answers
        store.clear()
        _say(f"{answers} answers dropped")


def main() -> None:
    """Run the command line."""
    _occupy_closed_streams()
    try:
        app(prog_name="pkgharvest")
    except OSError as error:  # what Typer prints itself, as help, on a full device
        _forget_buffered(sys.stdout)
        if sys.stderr is not None:
            sys.stderr.write(f"error: the standard output cannot be written: {error.strerror}\n")
        sys.exit(OUTPUT)


def _occupy_closed_streams() -> None:
    """Open what goes nowhere in the place of closed standard streams.

    The next file that is opened would take the number of one, and get what is meant for the stream.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004  the last standard stream
        pass
    os.close(descriptor)


USAGE = 2
OUTPUT = 7


def _configuration(
    config: Path | None,
    chosen: dict[str, object] | None = None,
    *,
    record: Path | None = None,
    replay: str | None = None,
) -> Configuration:
    """Return what is in force; ``chosen`` holds the options by their keys, None for those not given."""
    from pkgharvest.configuration import configure, read_files

    return configure(chosen or {}, os.environ, read_files(config), record=record, replay=replay)


def _hosts(settings: Settings) -> Hosts:
    if settings.replay is None:
        return settings.hosts
    from pkgharvest.session import in_force

    return in_force(settings).hosts


def _parsed(texts: list[str], hosts: Hosts, console: Console) -> list[Named]:
    """Return the targets of the command line, or tell every one that cannot be parsed."""
    from pkgharvest.errors import TargetError
    from pkgharvest.targets import parse_target

    targets: list[Named] = []
    for text in texts:
        try:
            targets.append(parse_target(text, hosts))
        except TargetError as error:
            console.error(error)
    if len(targets) < len(texts):
        raise typer.Exit(USAGE)
    return targets


def _targets(
    targets: list[Named], names: list[str], hosts: Hosts, *, failed: bool
) -> list[Named] | AsyncGenerator[Named | Failure]:
    """Return the targets of the command line, followed by those of the lists."""
    from pkgharvest.errors import SettingError

    if failed and not names:
        raise SettingError("--failed chooses from a report, and there is no --from")
    if not names:
        if not targets:
            raise typer.BadParameter("give at least one target, or a list with --from", param_hint="TARGET")
        return targets

    from pkgharvest import lists
    from pkgharvest.results import Failure

    stdin = None if sys.stdin is None else sys.stdin.buffer
    lists.check(names, stdin, failed=failed)

    async def chain() -> AsyncGenerator[Named | Failure]:
        for target in targets:
            yield target
        has_begun = bool(targets)
        try:
            async for item in lists.targets_in(names, stdin, hosts, failed=failed):
                has_begun = True
                yield item
        except SettingError as error:  # what came before it is harvested all the same
            if not has_begun:
                raise
            yield Failure(", ".join(names), None, error)

    return chain()


def _check_paths(output: str | None, report: Path | None, record: Path | None) -> None:
    from pkgharvest.errors import SettingError

    if output == "":
        raise SettingError("--output is empty", "Name a file or a folder, or - for the standard output")
    taken: dict[Path, str] = {}
    if output not in (None, "-"):
        taken[Path(output).resolve()] = "--output"
    for option, path in {"--report": report, "--record": record}.items():
        if path is None:
            continue
        if str(path) == "-":
            raise SettingError(f"{option} needs a file: the standard output is for the records")
        place = path.resolve()
        first = taken.setdefault(place, option)
        if first != option:
            raise SettingError(f"{first} and {option} name the same file")
        if place.suffix == ".json" and taken.get(place.parent) == "--output":
            raise SettingError(
                f"{option} names a file of the folder of records", "Let its name end otherwise"
            )


def _check_lists(names: list[str], output: str | None, report: Path | None) -> None:
    """Make sure that no list is written over, unless it is what a run has written."""
    from pkgharvest.errors import SettingError
    from pkgharvest.lists import holds_results

    named = {"--output": None if output in (None, "-") else Path(output), "--report": report}
    written = {path.resolve(): option for option, path in named.items() if path is not None}
    for name in names:
        option = written.get(Path(name).resolve()) if name != "-" else None
        if option is not None and not holds_results(name):
            raise SettingError(f"{option} would overwrite the list {name}", "Name another file")


def _now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _sink(
    configuration: Configuration, output: str | None, hosts: Hosts, *, force: bool
) -> AbstractContextManager[Documents]:
    from pkgharvest.errors import SettingError
    from pkgharvest.output import in_file, on_stream
    from pkgharvest.snapshot import Manners, snapshot

    choices = configuration.choices
    form, only_changed = choices.format, choices.only_changed
    # What a file or a variable says is for the runs that it has a meaning in.
    if output not in (None, "-") and (output.endswith(os.sep) or Path(output).is_dir()):
        if form != "json" and configuration.is_option("format"):
            raise SettingError(f"a folder holds a document a file, so --format {form} has no meaning there")
        return snapshot(Path(output), hosts, Manners(only_changed=only_changed, force=force))
    if (only_changed and configuration.is_option("only-changed")) or force:
        raise SettingError("--only-changed and --force are for a folder: give --output FOLDER/")
    if output in (None, "-"):
        return on_stream(form, _stdout())
    return in_file(form, Path(output))


def _say(line: str) -> None:
    """Write a line of text to the standard output."""
    _write_out(f"{line}\n".encode(getattr(sys.stdout, "encoding", None) or "utf-8", "replace"))


def _write_out(data: bytes) -> None:
    """Write to the standard output, or raise as documents do where it cannot be written."""
    from pkgharvest.output import flushing

    flushing(_stdout())(data)


def _stdout() -> BinaryIO:
    from pkgharvest.errors import OutputError

    if sys.stdout is None:  # the caller closed it
        raise OutputError("the standard output is closed")
    return sys.stdout.buffer


@contextmanager
def _store(config: Path | None) -> Iterator[Store]:
    """Yield the stored answers of the user."""
    with _exit_codes() as console:
        from contextlib import closing

        from pkgharvest.net.cache import Store

        with closing(Store(_configuration(config).settings.store_folder, console.warning)) as store:
            yield store


class _Manner(NamedTuple):
    """How a command is to talk; see `Console`."""

    quiet: bool = False
    verbose: bool = False
    unattended: bool = False
    log_format: LogFormat | None = None
    colour: bool = True


USUAL = _Manner()


@contextmanager
def _exit_codes(manner: _Manner = USUAL) -> Iterator[Console]:
    """Yield the console, and turn what ends a command into a line on it and an exit code."""
    from pkgharvest import signals
    from pkgharvest.console import Console
    from pkgharvest.errors import (
        OutputError,
        PkgharvestError,
        RateLimitedError,
        SettingError,
        TargetError,
        TokenRefusedError,
        UnreachableError,
    )
    from pkgharvest.settings import TokenSettingError

    console = Console(sys.stderr or io.StringIO(), **manner._asdict())
    codes = {
        TokenSettingError: 4,
        SettingError: USAGE,
        TargetError: USAGE,
        OutputError: OUTPUT,
        TokenRefusedError: 4,
        RateLimitedError: 5,
        UnreachableError: 6,
        PkgharvestError: 1,
    }
    try:
        with signals.raised():
            if manner.quiet and manner.verbose:
                raise SettingError("--quiet and --verbose contradict each other")
            yield console
    except PkgharvestError as error:
        console.error(error)
        if isinstance(error, OutputError):
            _forget_buffered(sys.stdout)
        raise typer.Exit(next(code for kind, code in codes.items() if isinstance(error, kind))) from error
    except BrokenPipeError as error:
        _forget_buffered(sys.stdout)
        raise typer.Exit(141) from error
    except signals.Signalled as error:
        console.error(signals.stopped(error.number))
        raise typer.Exit(128 + error.number) from error
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
