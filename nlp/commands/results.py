"""nlp results: the table of what was measured, and nlp results run, which measures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nlp.commands.figures import say
from nlp.errors import NlpError

if TYPE_CHECKING:
    from nlp.results.plan import Entry, Plan
    from nlp.results.table import SectionTable

__all__ = ["register"]

RUNS = Path("runs/results")

PlanFile = Annotated[
    Path | None,
    typer.Option(
        help="A plan of your own, a TOML file; what is measured is kept beside it. Default: the project's.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer()
    group.callback(invoke_without_command=True)(show)
    group.command()(run)
    app.add_typer(group, name="results")


def show(
    context: typer.Context,
    plan: PlanFile = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the tables and all commands into this file.", show_default=False)
    ] = None,
    commands: Annotated[bool, typer.Option("--commands", help="Show the commands of all results.")] = False,
) -> None:
    """What the models come to: every result with its time, machine and commands. nlp results run NAME measures one."""
    if context.invoked_subcommand is not None:
        if plan is not None or markdown is not None or commands:
            raise NlpError(f"options stand behind the command: nlp results {context.invoked_subcommand} --help")
        return
    from nlp.disk import write_text
    from nlp.results.recorded import read_recorded
    from nlp.results.table import ABOUT, in_markdown, section_tables

    chosen = _plan(plan)
    recorded = read_recorded(chosen)
    console = Console()
    if markdown is not None:
        write_text(markdown, in_markdown(chosen, recorded))
        say(console, f"the table is in {markdown}")
    else:
        for table in section_tables(chosen, recorded):
            _show(console, table, commands)
        console.print(Text(ABOUT))
    if others := sorted(recorded.keys() - chosen.entries.keys()):
        say(console, f"Measured, but not in the plan any more: {', '.join(others)}.")


def run(
    names: Annotated[list[str] | None, typer.Argument(help="Results of the plan.", show_default=False)] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="All that are not measured as the plan has them, and need no GPU or such.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(envvar="NLP_DATA", help="The folder with the data that the commands name.", show_default=False),
    ] = None,
    runs: Annotated[Path, typer.Option(help="The folder for the runs.")] = RUNS,
    plan: PlanFile = None,
) -> None:
    """Measure results: run their commands and keep the numbers. What was broken off goes on."""
    from nlp.disk import disk_errors
    from nlp.results.recorded import write_recorded
    from nlp.results.run import make, make_ready
    from nlp.training.stopping import listening_for_stop

    chosen = _plan(plan)
    entries = _entries(chosen, names or [], missing)
    if data is None:
        raise NlpError("the folder of the data is not named: give --data, or let NLP_DATA name it")
    for entry in entries:
        make_ready(entry, data, runs)  # a mistake in the last is told before the first is begun
    with disk_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
    console = Console()
    for entry in entries:
        say(console, f"\n--- {entry.name}: {entry.system}")
        with listening_for_stop() as stop:
            recorded = make(entry, data, runs, lambda text: say(console, text), stop)
        if recorded is None:
            typer.echo("nlp: stopped: the same command goes on", err=True)
            raise typer.Exit(stop.exit_code)
        path = write_recorded(chosen, recorded)
        figures = ", ".join(f"{measure} {value:,.4g}" for measure, value in recorded.values.items())
        say(console, f"{entry.name}: {figures}, kept in {path}")


def _plan(path: Path | None) -> Plan:
    from nlp.results.plan import PLAN, read_plan

    return read_plan(PLAN if path is None else path)


def _entries(plan: Plan, names: list[str], missing: bool) -> list[Entry]:
    """The results that are to be measured, in the order given, or in the plan's."""
    from nlp.results.recorded import read_recorded
    from nlp.results.table import state_of

    if bool(names) == missing:
        raise NlpError(f"name the results to measure, or give --missing: {plan.path} has {', '.join(plan.entries)}")
    if names:
        return [plan.entry(name) for name in dict.fromkeys(names)]
    recorded = read_recorded(plan)
    return [entry for entry in plan.entries.values() if state_of(entry, recorded) and not entry.needs]


def _show(console: Console, table: SectionTable, commands: bool) -> None:
    """A table with its notes, and the commands of what was not measured, or of all."""
    shown = Table(box=None, pad_edge=False, title=table.title, title_justify="left", title_style="bold")
    # The name stands over what it is: side by side they leave no room for the figures on a narrow terminal.
    shown.add_column(f"name\n{table.headings[0]}", overflow="fold")
    for heading in table.headings[1:]:  # figures are whole, whatever the width
        shown.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in table.rows:
        system, *figures = row.cells
        if row.state:
            system, figures = f"{system} ({row.state})", [""] + figures[1:]
        shown.add_row(Text.assemble((row.entry.name, "bold"), "\n", system), *map(Text, figures))
    console.print(shown)
    for note in table.notes:
        say(console, note)
    for row in table.rows:
        if commands or row.state:
            minutes = f", about {row.entry.minutes:g} minutes" if row.entry.minutes else ""
            say(console, f"{row.entry.name}{f' ({row.state}{minutes})' if row.state else ''}:")
            for command in row.entry.commands:
                say(console, f"    {command}")
    console.print()
