"""The table of results, made of a plan and of what was measured for it; nothing is in it that is not in a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nlp.commands.figures import duration
from nlp.results.plan import RUNS, Entry, Plan, Section
from nlp.results.recorded import Recorded

__all__ = ["ABOUT", "Row", "SectionTable", "in_markdown", "section_tables", "state_of"]

ABOUT = (
    "Time is that of training, with the validation after each epoch; tokens/s that of training alone; on machines that "
    "had other work at times, so that they say how long about it takes. Perplexities are per token."
)
NOT_RUN, OUT_OF_DATE = "not run", "out of date"


@dataclass(frozen=True)
class Row:
    """A result as it is shown; `state` is empty for one that was measured with the plan's commands."""

    entry: Entry
    state: str
    cells: tuple[str, ...]  # one for each heading of the table


@dataclass
class SectionTable:
    """A section of the plan as a table. The notes say what the marks in its cells mean."""

    title: str  # with the data
    headings: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def state_of(entry: Entry, recorded: Mapping[str, Recorded]) -> str:
    """Empty for a result that was measured as the plan has it; otherwise why there is no number."""
    if entry.name in recorded:
        return "" if recorded[entry.name].commands == entry.commands else OUT_OF_DATE
    return f"{NOT_RUN}: needs {entry.needs}" if entry.needs else NOT_RUN


def section_tables(plan: Plan, recorded: Mapping[str, Recorded]) -> list[SectionTable]:
    """A table for each section. Equal notes have one mark: numbers for others' results, letters for machines."""
    return [_section_table(section, recorded) for section in plan.sections]


def _section_table(section: Section, recorded: Mapping[str, Recorded]) -> SectionTable:
    measures = section.measures
    table = SectionTable(f"{section.title}: {section.data}", ("system", *measures, "peer", "time", "tokens/s", "on"))
    sources: list[str] = []
    machines: list[str] = []
    for entry in section.entries:
        state = state_of(entry, recorded)
        peers = "\n".join(
            f"{_figure(peer.value)} [{_place(f'{measure}, {peer.source}', sources)}]"
            for measure, peer in entry.peers.items()
        )
        if state:
            ours = [state, *[""] * (len(measures) - 1)]
            how = [""] * 3
        else:
            one = recorded[entry.name]
            ours = [_figure(one.values.get(measure)) for measure in measures]
            how = [*_how_trained(one), f"[{_letter(_place(_machine(one), machines))}]"]
        table.rows.append(Row(entry, state, (entry.system, *ours, peers, *how)))
    table.notes += [f"[{number}] {source}" for number, source in enumerate(sources, 1)]
    table.notes += [f"[{_letter(number)}] {text}" for number, text in enumerate(machines, 1)]
    return table


def _how_trained(one: Recorded) -> list[str]:
    """Time of training, and tokens a second of a single run."""
    runs = list(one.runs.values())
    speed = f"{round(runs[0].tokens_per_second):,}" if len(runs) == 1 else ""
    return [duration(one.seconds) if runs else "", speed]


def _machine(one: Recorded) -> str:
    devices = sorted({run.device for run in one.runs.values()} - {"cpu"})
    seeds = sorted({run.seed for run in one.runs.values()})
    versions = one.versions
    return ", ".join(
        [
            f"{one.machine['processor']}, {_several(one.machine.get('cores'), 'core')}",
            *devices,
            f"minigrad {versions.get('minigrad')}, NumPy {versions.get('numpy')}, Python {versions.get('python')}",
            _several(versions.get("threads"), "thread"),
            f"seed {', '.join(map(str, seeds))}",
            one.date,
        ]
    )


def _several(number: int | str | None, noun: str) -> str:
    return f"{number} {noun}" if str(number) == "1" else f"{number} {noun}s"


def _place(text: str, notes: list[str]) -> int:
    """The number of a note, from 1; it is added where it is new."""
    if text not in notes:
        notes.append(text)
    return notes.index(text) + 1


def _letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    head, last = divmod(number - 1, 26)
    return (_letter(head) if head else "") + chr(ord("a") + last)


def _figure(value: float | None) -> str:
    """A number with four digits or so that mean something."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return "infinite" if value > 0 else str(value)
    if value >= 100 and float(value).is_integer():  # a count
        return f"{value:,.0f}"
    return f"{value:,.{1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3}f}"


# ---- Markdown -------------------------------------------------------------------------------------------------------

_HEAD = f"""# Results

Made by `nlp results --markdown` from the plan and the files of what was measured. `nlp results run NAME` measures one:
it runs the commands below in the folder of the data, with a folder for runs in the place of `{RUNS}`. {ABOUT}
"""


def in_markdown(plan: Plan, recorded: Mapping[str, Recorded]) -> str:
    """The tables as Markdown, each with its notes and the commands of all its results."""
    return "\n".join([_HEAD, *(_section(table) for table in section_tables(plan, recorded))])


def _section(table: SectionTable) -> str:
    lines = [f"## {table.title}", "", _line(("name", *table.headings))]
    lines.append(_line(["---", "---", *["---:"] * (len(table.headings) - 2), "---"]))
    lines += [_line((f"`{row.entry.name}`", *row.cells)) for row in table.rows]
    lines += ["", *(f"{note}  " for note in table.notes), ""]  # two spaces break the line
    lines += ["```"]
    for row in table.rows:
        lines += [f"# {row.entry.name}" + (f" ({row.state})" if row.state else ""), *row.entry.commands]
    return "\n".join([*lines, "```", ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ', ') for cell in cells)} |"
