"""Which results there are to be: a TOML file of sections, each with its systems and the commands that make their
numbers.

    [parts]                                   # words that commands or sources share: {wikitext}
    wikitext = "--train wikitext-2/train.txt ..."

    [[section]]
    title = "Language models"
    data = "WikiText-2"
    values = { "test perplexity" = "test_perplexity" }

    [section.results.lstm]
    system = "LSTM, 200 units"
    minutes = 15                              # about
    commands = ["nlp train {wikitext} --out {runs}/{name}"]

{runs} is a folder for runs and {name} the name of the result; files are named as seen from the folder of the data. A
value is a key of the results in the run {runs}/{name}; or, with `from = "{runs}/{name}.json"`, a list of keys that
leads to it in a file which a command wrote. A result may have `values` and `from` of its own. `peers` has others'
numbers: by measure, a `value` and its `source`. A result with `needs` cannot be had on every machine.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp.errors import NlpError, did_you_mean

__all__ = ["PLAN", "RUNS", "Entry", "Peer", "Plan", "Section", "read_plan"]

PLAN = Path(__file__).with_name("plan.toml")  # the project's own
RUNS = "{runs}"  # stands for the folder of runs wherever commands are kept or shown
_IN_ENTRY = {"system", "commands", "values", "from", "peers", "minutes", "needs"}
_IN_SECTION = {"title", "data", "values", "from", "results"}
_PLACE = re.compile(r"\{([^{}]*)\}")

Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Peer:
    """Another's number, and where it is from."""

    value: float
    source: str


@dataclass(frozen=True)
class Entry:
    """A result that is to be: a system, the commands that make its numbers, and where the numbers are then.

    In `commands` and `source` all parts are written out but {runs}. `source` is a run folder, or a JSON file.
    """

    name: str
    system: str
    commands: tuple[str, ...]
    source: str
    values: Mapping[str, Keys]  # by measure
    peers: Mapping[str, Peer]  # the same
    minutes: float | None
    needs: str | None


@dataclass(frozen=True)
class Section:
    """Results on the same data, which stand in one table."""

    title: str
    data: str
    entries: tuple[Entry, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        """What any of them is measured by, in the order in which they come."""
        return tuple(dict.fromkeys(measure for entry in self.entries for measure in entry.values))


@dataclass(frozen=True)
class Plan:
    """All results that are to be; `path` is the file it was read from."""

    path: Path
    sections: tuple[Section, ...]

    @property
    def entries(self) -> dict[str, Entry]:
        """All of them, by name."""
        return {entry.name: entry for section in self.sections for entry in section.entries}

    def entry(self, name: str) -> Entry:
        """The result of that name. Raises NlpError where there is none."""
        if name not in self.entries:
            raise NlpError(f"there is no result {name!r} in {self.path}{did_you_mean(name, self.entries)}")
        return self.entries[name]


def read_plan(path: Path = PLAN) -> Plan:
    """The plan in a TOML file. Raises NlpError, with the place, for what is missing or wrong in it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NlpError(f"the plan {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NlpError(f"the plan {path} is no TOML: {error}") from error
    try:
        plan = Plan(path, _sections(content))
    except NlpError as error:
        raise NlpError(f"the plan {path} cannot be used: {error}") from error
    return plan


# ---- what stands in the file ----------------------------------------------------------------------------------------


def _sections(content: dict[str, Any]) -> tuple[Section, ...]:
    _only(content, {"parts", "section"}, "it")
    parts: dict[str, str] = {}
    for name, words in _table(content.get("parts", {}), "[parts]").items():
        parts[name] = _written_out(_text(words, f"the part {name!r}"), {**parts, "runs": RUNS, "name": "{name}"})
    sections = content.get("section")
    if not isinstance(sections, list) or not sections:
        raise NlpError("it has no [[section]]")
    made = tuple(_section(section, parts) for section in sections)
    names = [entry.name for section in made for entry in section.entries]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise NlpError(f"it has the result {twice!r} twice")
    return made


def _section(content: Any, parts: Mapping[str, str]) -> Section:
    title = _text(_table(content, "a [[section]]").get("title"), "the title of a section")
    where = f"the section {title!r}"
    _only(content, _IN_SECTION, where)
    shared = {name: content[name] for name in ("values", "from") if name in content}
    results = _table(content.get("results"), f"what {where} has as results")
    entries = tuple(_entry(name, {**shared, **_table(one, name)}, parts) for name, one in results.items())
    return Section(title, _text(content.get("data"), f"the data of {where}"), entries)


def _entry(name: str, content: dict[str, Any], parts: Mapping[str, str]) -> Entry:
    where = f"the result {name!r}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise NlpError(f"the name {name!r} becomes a file's, and takes small letters, digits and - alone")
    _only(content, _IN_ENTRY, where)
    known = {**parts, "runs": RUNS, "name": name}
    commands = content.get("commands")
    if not isinstance(commands, list) or not commands:
        raise NlpError(f"{where} has no list of commands")
    minutes, needs = content.get("minutes"), content.get("needs")
    if minutes is not None and type(minutes) not in (int, float):
        raise NlpError(f"the minutes of {where} are a number, not {minutes!r}")
    source = _text(content.get("from", f"{RUNS}/{name}"), f"what {where} is read from")
    return Entry(
        name=name,
        system=_text(content.get("system"), f"the system of {where}"),
        commands=tuple(_command(one, where, known) for one in commands),
        source=_written_out(source, known),
        values=_values(content.get("values"), where),
        peers={measure: _peer(one, where, known) for measure, one in _table(content.get("peers", {}), where).items()},
        minutes=minutes,
        needs=None if needs is None else _text(needs, f"what {where} needs"),
    )


def _command(content: Any, where: str, known: Mapping[str, str]) -> str:
    words = _written_out(_written_out(_text(content, f"a command of {where}"), known), known)  # parts have {name} too
    if not words.startswith("nlp "):
        raise NlpError(f'a command of {where} does not begin with "nlp "')
    return words


def _values(content: Any, where: str) -> dict[str, Keys]:
    values = {}
    for measure, keys in _table(content, f"the values of {where}").items():
        path = keys if isinstance(keys, list) else [keys]
        if not path or not all(type(key) in (str, int) for key in path):
            raise NlpError(f"{measure!r} of {where} is found by a key or a list of keys, not {keys!r}")
        values[measure] = tuple(path)
    if not values:
        raise NlpError(f"{where} has no values")
    return values


def _peer(content: Any, where: str, known: Mapping[str, str]) -> Peer:
    given = _table(content, f"a peer of {where}")
    _only(given, {"value", "source"}, f"a peer of {where}")
    if type(given.get("value")) not in (int, float):
        raise NlpError(f"a peer of {where} has no number as its value")
    source = _text(given.get("source"), f"the source of a peer of {where}")
    return Peer(float(given["value"]), _written_out(source, known))


def _written_out(words: str, known: Mapping[str, str]) -> str:
    """The words with what stands in braces put in."""

    def part(place: re.Match[str]) -> str:
        if place[1] not in known:
            raise NlpError(f"{place[0]} in {words!r} is not one of {', '.join(known)}{did_you_mean(place[1], known)}")
        return known[place[1]]

    return _PLACE.sub(part, words)


def _table(content: Any, what: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise NlpError(f"{what} is no table of names and values")
    return content


def _text(content: Any, what: str) -> str:
    if not isinstance(content, str) or not content.strip():
        raise NlpError(f"{what} is missing, or no text")
    return " ".join(content.split())


def _only(content: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := [name for name in content if name not in known]:
        raise NlpError(f"{where} has {unknown[0]!r}, which means nothing there{did_you_mean(unknown[0], known)}")
