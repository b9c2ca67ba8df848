"""The options of the commands, by group, and how their help is laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

ENDS = """
Exit codes: 0 every target gave a record - 1 an error of pkgharvest itself - 2 the command line or an input
is wrong, nothing was asked - 3 some targets failed, every other one is written - 4 the token was refused -
5 stopped by a rate limit longer than --max-wait, run again to go on - 6 no upstream could be reached -
7 the output cannot be written - 129, 130, 143 ended by SIGHUP, SIGINT, SIGTERM - 141 stdout was closed.
"""
"""Shown below the help of commands that ask services."""
SHORT_ENDS = """
Exit codes: 0 done, 1 bug, 2 wrong input, 3 some failed, 4 token, 5 rate limit, 6 unreachable,
7 output, 129, 130, 143 signals, 141 stdout closed.
"""
"""The same on the first screen."""
SHORT_VARIABLES = """
Environment: GITHUB_TOKEN, PKGHARVEST_*, HTTPS_PROXY, SSL_CERT_FILE, NO_COLOR.
"""
VARIABLES = """
Environment: GITHUB_TOKEN or GH_TOKEN, HTTPS_PROXY, SSL_CERT_FILE, NO_COLOR, and PKGHARVEST_* for each
setting that pkgharvest config shows.
"""
# A shell may take other characters of a file's name for its own.
_SLUG = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
FOLDER = "snapshots"
"""The snapshot folder that names are completed from where the command line names none."""


class Grouped(TyperCommand):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  Typer keeps the types to itself
        """Write arguments and options, each group below its name."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            if record is not None:
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


def complete_target(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield the slugs of the snapshot folder that begin like this, for the shell."""
    named = [ctx.params.get("output"), ctx.params.get("base"), FOLDER]
    folder = next((Path(path) for path in named if path and Path(path).is_dir()), None)
    if folder is not None:
        slugs = sorted(path.stem for path in folder.glob("*.json") if _SLUG.fullmatch(path.stem))
        yield from (slug for slug in slugs if slug.startswith(incomplete))


_INPUT, _ASKING, _OUTPUT, _TALK = "What to harvest", "Asking", "What to write", "What to tell"

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="Slugs, PyPI names, or URLs: of PyPI, of a repository, of a package, grid or category of "
        "Django Packages.",
        show_default=False,
        autocompletion=complete_target,
    ),
]
ShownTargets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="What fetch takes; or files of records (x.json, x.jsonl) and folders of them (snapshots/).",
        show_default=False,
        autocompletion=complete_target,
    ),
]
Lists = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Targets, one a line; requirements, pyproject.toml, pylock.toml, records, a report; "
        "- is stdin. Repeatable.",
        rich_help_panel=_INPUT,
    ),
]
Failed = Annotated[
    bool,
    typer.Option("--failed", help="Of reports in --from, take only what failed.", rich_help_panel=_INPUT),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Ask nothing if a line of a list is wrong.", rich_help_panel=_INPUT),
]
AllCatalog = Annotated[
    bool,
    typer.Option("--all-catalog", help="Harvest every package of Django Packages.", rich_help_panel=_INPUT),
]
Base = Annotated[
    Path | None,
    typer.Option(
        "--base",
        metavar="PATH",
        help="Earlier records to start from: a file in any format, a folder.",
        rich_help_panel=_INPUT,
    ),
]
MaxAge = Annotated[
    str | None,
    typer.Option(
        "--max-age",
        metavar="AGE",
        help="Skip packages whose earlier record is younger: 90m, 20h, 7d.",
        rich_help_panel=_INPUT,
    ),
]
AsksCatalog = Annotated[
    bool | None,
    typer.Option(
        "--catalog/--no-catalog",
        help="Ask Django Packages for the fields that only it knows.",
        rich_help_panel=_ASKING,
    ),
]
MaxWait = Annotated[
    str | None,
    typer.Option(
        "--max-wait",
        metavar="TIME",
        help="Wait so long for rate limits, in all: seconds, or as 10m. [default: 60]",
        rich_help_panel=_ASKING,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        help="Requests under way to GitHub at once. [default: 12]",
        rich_help_panel=_ASKING,
    ),
]
Refresh = Annotated[
    bool | None,
    typer.Option(
        "--refresh/--no-refresh",
        help="Ask also for what cannot have changed or was missing.",
        rich_help_panel=_ASKING,
    ),
]
UsesCache = Annotated[
    bool | None,
    typer.Option(
        "--cache/--no-cache",
        help="Store answers and use what is stored. [default: cache]",
        rich_help_panel=_ASKING,
    ),
]
Offline = Annotated[
    bool | None,
    typer.Option(
        "--offline/--no-offline",
        help="Answer from what is stored, whatever its age.",
        rich_help_panel=_ASKING,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Ask nothing; tell what the run would cost.", rich_help_panel=_ASKING),
]
Recorded = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE.har",
        help="Write down what is asked and answered.",
        rich_help_panel=_ASKING,
    ),
]
Replayed = Annotated[
    str | None,
    typer.Option(
        "--replay",
        metavar="FILE.har",
        help="Answer from a recording; 'demo' is shipped.",
        rich_help_panel=_ASKING,
    ),
]
RecordForm = Annotated[
    Literal["json", "jsonl", "list"] | None,
    typer.Option(
        "--format",
        "-f",
        help="Documents one after the other, one a line, or the API's list. [default: json]",
        rich_help_panel=_OUTPUT,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Write to this file; or to a folder (FOLDER/), a file <slug>.json for each package.",
        rich_help_panel=_OUTPUT,
    ),
]
OnlyChanged = Annotated[
    bool | None,
    typer.Option(
        "--only-changed/--no-only-changed",
        help="Leave files alone where only last_fetched would change.",
        rich_help_panel=_OUTPUT,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Overwrite files that hold no record of the package.", rich_help_panel=_OUTPUT
    ),
]
IfRunning = Annotated[
    Literal["fail", "skip"] | None,
    typer.Option(
        "--if-running",
        help="What to do if another run works on the folder. [default: fail]",
        rich_help_panel=_OUTPUT,
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write what came of each target, a JSON object a line.",
        rich_help_panel=_OUTPUT,
    ),
]
Timezone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help="Write times in this zone. [default: America/New_York]",
        rich_help_panel=_OUTPUT,
    ),
]
ShownForm = Annotated[
    Literal["table", "markdown", "html", "json"],
    typer.Option(
        "--format",
        "-f",
        help="For the terminal, for a README, a page, or the records.",
        rich_help_panel=_OUTPUT,
    ),
]
Rows = Annotated[
    bool,
    typer.Option("--rows", help="One row for each package, not one column.", rich_help_panel=_OUTPUT),
]
Sort = Annotated[
    Literal["stars", "commits", "updated", "name"] | None,
    typer.Option(
        "--sort",
        help="Sort by stars, commits in the year, last commit, or name.",
        rich_help_panel=_OUTPUT,
    ),
]
Page = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this file.", rich_help_panel=_OUTPUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Tell errors alone.", rich_help_panel=_TALK)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell more, and the costs.", rich_help_panel=_TALK)
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours.", rich_help_panel=_TALK)]
LogForm = Annotated[
    Literal["text", "logfmt", "json"] | None,
    typer.Option(
        "--log-format", help="Lines for people, or with time and level for logs.", rich_help_panel=_TALK
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Take settings from this file, not from the user's.",
    ),
]
PlainForm = Annotated[Literal["text", "json"], typer.Option("--format", "-f", help="For people or programs.")]
