"""The results table: a plan is read strictly, its commands make numbers, and the table shows those and no others."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nlp_helpers import PATTERN, call, told_in_one_sentence

import minigrad
import nlp
from nlp.disk import write_json
from nlp.errors import NlpError
from nlp.results.command_line import Command, TrainingCommand, understand
from nlp.results.plan import PLAN, RUNS, Entry, Peer, Plan, Section, read_plan
from nlp.results.recorded import Recorded, Training, read_recorded, recorded_folder, write_recorded
from nlp.results.run import _values
from nlp.results.table import OUT_OF_DATE, in_markdown, section_tables, state_of
from nlp.run_folder import RunFolder
from nlp.training.stopping import StopRequest

pytest.importorskip("typer.testing", reason="the command line needs the nlp extra")

TINY_PLAN = """
[parts]
book = "--text tiny/book.txt"
small = "{book} --embedding 8 --hidden 8 --dropout 0 --bptt 8 --batch-size 4"
out = "--out {runs}/{name}"
paper = "a paper, table 1"

[[section]]
title = "Models"
data = "a sentence"
values = { "test perplexity" = "test_perplexity", "valid perplexity" = "valid_perplexity" }

[section.results.counts]
system = "2-gram"
minutes = 0.1
commands = ["nlp train {book} --model ngram --order 2 --smoothing add-k {out}"]
peers = { "test perplexity" = { value = 1.5, source = "{paper}" } }

[section.results.lstm]
system = "LSTM"
commands = ["nlp train {small} --epochs 2 {out}"]

[section.results.mixed]
system = "both | mixed"
from = "{runs}/{name}.json"
values = { "test perplexity" = ["texts", 1, "perplexity"] }
commands = [
    "nlp train {small} --epochs 2 --out {runs}/lstm",
    "nlp train {book} --model ngram --order 2 --smoothing add-k --out {runs}/counts",
    "nlp mix {runs}/lstm {runs}/counts --json {runs}/{name}.json",
]

[section.results.large]
system = "large"
needs = "a GPU"
commands = ["nlp train {small} --device cuda {out}"]
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The tiny plan; the data it names is in `data of mine`, and the current folder is above that."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NLP_DATA", raising=False)
    (tmp_path / "data of mine" / "tiny").mkdir(parents=True)
    (tmp_path / "data of mine" / "tiny" / "book.txt").write_text(PATTERN * 40, encoding="utf-8")
    (tmp_path / "plan.toml").write_text(TINY_PLAN, encoding="utf-8")
    return read_plan(tmp_path / "plan.toml")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are run here, which takes a fraction of the time; processes of their own have tests below."""

    def run_here(command: Command, words: Sequence[str], data: Path, stop: StopRequest) -> None:
        with contextlib.chdir(data):
            done = call(*words)
        assert done.exit_code == 0, done.output

    monkeypatch.setattr("nlp.results.run._run", run_here)


def run(*words: object) -> Any:
    """What `nlp results run WORDS` says and leaves, for the tiny plan."""
    given = ["--plan", "plan.toml", "--data", "data of mine", "--runs", "my runs"]
    return call("results", "run", *words, *given)


def results_of(folder: str) -> dict[str, Any]:
    *_, last = RunFolder.open(folder).metrics()
    return last


# ---- from the commands to the table ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_this_process")
def test_from_the_commands_to_the_table(plan: Plan) -> None:
    done = run("counts", "mixed")
    assert done.exit_code == 0, done.output
    recorded = read_recorded(plan)
    assert recorded.keys() == {"counts", "mixed"}
    counts = recorded["counts"]
    results = results_of("my runs/counts")
    assert counts.values == {
        "test perplexity": results["test_perplexity"],
        "valid perplexity": results["valid_perplexity"],
    }
    mixture = json.loads(Path("my runs/mixed.json").read_text(encoding="utf-8"))
    assert recorded["mixed"].values == {"test perplexity": mixture["texts"][1]["perplexity"]}
    assert recorded["mixed"].runs.keys() == {"lstm", "counts"}
    assert recorded["mixed"].runs["lstm"].epochs == 2
    assert recorded["mixed"].seconds == sum(one.seconds for one in recorded["mixed"].runs.values())

    kept = (recorded_folder(plan) / "mixed.json").read_text(encoding="utf-8")
    assert json.loads(kept)["commands"] == list(plan.entry("mixed").commands)
    assert RUNS in kept
    assert not any(place in kept for place in (str(plan.path.parent), "my runs", "data of mine"))

    table = call("results", "--plan", "plan.toml")
    assert table.exit_code == 0, table.output
    shown = f"{results['test_perplexity']:.3f}"
    row = _row(table.stdout, "counts")
    assert "2-gram" in row
    assert shown in row
    assert "1.500 [1]" in row
    assert "[1] test perplexity, a paper, table 1" in table.stdout
    assert f"[a] {counts.machine['processor']}" in table.stdout
    assert "lstm (not run):\n    nlp train --text tiny/book.txt --embedding 8" in table.stdout
    assert "large (not run: needs a GPU):" in table.stdout
    assert "counts:\n" not in table.stdout
    assert "counts:\n    nlp train" in call("results", "--plan", "plan.toml", "--commands").stdout

    assert call("results", "--plan", "plan.toml", "--markdown", "table.md").exit_code == 0
    markdown = Path("table.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `counts` \| 2-gram \| {re.escape(shown)} \| .* \| 1\.500 \[1\] \| 0:0\d \|", markdown, re.M)
    assert r"| both \| mixed |" in markdown
    for entry in plan.entries.values():
        for command in entry.commands:
            assert command in markdown


@pytest.mark.usefixtures("in_this_process")
def test_missing_takes_what_is_not_measured_as_the_plan_has_it(plan: Plan) -> None:
    assert run("counts").exit_code == 0
    before = read_recorded(plan)["counts"]
    done = run("--missing")
    assert done.exit_code == 0, done.output
    assert re.findall(r"^--- (\w+)", done.stdout, re.M) == ["lstm", "mixed"]

    old = '--order 2 --smoothing add-k {out}"]'
    assert old in TINY_PLAN
    new = '--order 3 --smoothing add-k --out {runs}/three"]\nfrom = "{runs}/three"'
    plan.path.write_text(TINY_PLAN.replace(old, new), encoding="utf-8")
    assert state_of(read_plan(plan.path).entry("counts"), {"counts": before}) == OUT_OF_DATE
    table = call("results", "--plan", "plan.toml").stdout
    assert OUT_OF_DATE in _row(table, "counts")
    assert "counts (out of date, about 0.1 minutes):" in table
    assert re.findall(r"^--- (\w+)", run("--missing").stdout, re.M) == ["counts"]
    assert read_recorded(plan)["counts"].runs.keys() == {"three"}
    assert OUT_OF_DATE not in call("results", "--plan", "plan.toml").stdout


def _row(table: str, name: str) -> str:
    """The two lines of a result: its name with the figures, and what it is."""
    lines = table.splitlines()
    (first,) = [number for number, line in enumerate(lines) if line.rstrip() == name or line.startswith(f"{name}  ")]
    return "\n".join(lines[first : first + 2])


# ---- nothing is trained twice ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("in_this_process")
def test_a_finished_run_is_not_trained_again_and_one_broken_off_goes_on(plan: Plan) -> None:
    assert run("lstm").exit_code == 0
    before = {path: path.read_bytes() for path in Path("my runs/lstm").rglob("*") if path.is_file()}
    first = read_recorded(plan)
    again = run("lstm")
    assert again.exit_code == 0
    assert "was done before" in again.stdout
    assert {path: path.read_bytes() for path in Path("my runs/lstm").rglob("*") if path.is_file()} == before
    assert read_recorded(plan) == first

    metrics = Path("my runs/lstm/metrics.jsonl")
    lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
    metrics.write_text("".join(line for line in lines if '"results"' not in line), encoding="utf-8")
    resumed = run("lstm")
    assert resumed.exit_code == 0, resumed.output
    assert "was done before" not in resumed.stdout
    assert "goes on: nlp train --resume" in resumed.stdout
    assert read_recorded(plan) == first


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_signal_leaves_what_can_be_gone_on_with(plan: Plan) -> None:
    Path("plan.toml").write_text(
        TINY_PLAN.replace("--epochs 2 {out}", "--epochs 5000 --patience 0 {out}"), encoding="utf-8"
    )
    words = ["results", "run", "lstm", "--plan", "plan.toml", "--data", "data of mine", "--runs", "my runs"]
    command = [sys.executable, "-m", "nlp", *words]
    environment = {"PYTHONPATH": str(Path(nlp.__file__).parents[1]), "PATH": "", "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        metrics, end = Path("my runs/lstm/metrics.jsonl"), time.monotonic() + 60
        while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert said == "nlp: stopped: the same command goes on\n"
    assert RunFolder.open("my runs/lstm").has_checkpoint()
    assert read_recorded(plan) == {}
    with RunFolder.open("my runs/lstm").locked():  # the training has ended, too
        pass


def test_a_command_is_a_process_that_sees_the_data_and_takes_no_module_from_there(plan: Plan) -> None:
    for name in ("nlp.py", "random.py", "numpy.py"):
        Path("data of mine", name).write_text("raise SystemExit('a file of the data was run')", encoding="utf-8")
    done = run("counts")
    assert done.exit_code == 0, done.output
    assert read_recorded(plan)["counts"].values["test perplexity"] == results_of("my runs/counts")["test_perplexity"]


# ---- what trained it ------------------------------------------------------------------------------------------------


def retold(folder: str, **changes: Any) -> None:
    """Let a run tell something else of how it came about; None: nothing."""
    path = Path(folder, "config.json")
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    write_json(path, {name: value for name, value in content.items() if value is not None})


@pytest.mark.usefixtures("in_this_process")
def test_what_is_recorded_is_what_trained_the_last_run(plan: Plan) -> None:
    assert run("mixed").exit_code == 0
    here = read_recorded(plan)["mixed"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", here.date)
    assert here.versions == RunFolder.open("my runs/lstm").circumstances()["versions"]
    elsewhere = {"processor": "P", "cores": 7, "system": "S"}
    first = {"versions": {"numpy": "1", "threads": "7"}, "machine": elsewhere, "date": "2001-02-03T10:00:00+00:00"}
    last = {"versions": {"numpy": "2", "threads": "9"}, "machine": elsewhere, "date": "2001-02-03T10:00:01+00:00"}
    for lstm, counts in ((first, last), (last, first)):
        retold("my runs/lstm", **lstm)
        retold("my runs/counts", **counts)
        assert run("mixed").exit_code == 0
        recorded = read_recorded(plan)["mixed"]
        assert (recorded.versions, recorded.machine, recorded.date) == (last["versions"], elsewhere, "2001-02-03")

    before = {"versions": {"numpy": "0", "threads": "3"}, "machine": None, "date": None}  # as it used to be kept
    for name in ("lstm", "counts"):
        retold(f"my runs/{name}", **before)
    assert run("mixed").exit_code == 0
    recorded = read_recorded(plan)["mixed"]
    assert (recorded.versions, recorded.machine) == (before["versions"], here.machine)
    assert recorded.date >= here.date

    retold("my runs/counts", date=3)
    told_in_one_sentence(["results", "run", "counts", *PLACES], "config.json is no configuration of a run: its date")


def test_the_threads_are_those_of_the_training(plan: Plan) -> None:
    changed_plan("--model ngram --order 2 --smoothing add-k {out}", "--model ngram --threads 1 {out}")()
    before = minigrad.get_num_threads()
    minigrad.set_num_threads(3)
    try:
        done = run("counts")
    finally:
        minigrad.set_num_threads(before)
    assert done.exit_code == 0, done.output
    assert read_recorded(plan)["counts"].versions["threads"] == "1"


# ---- mistakes -------------------------------------------------------------------------------------------------------

PLACES = ["--plan", "plan.toml", "--data", "data of mine", "--runs", "my runs"]


def changed_plan(old: str, new: str) -> Callable[[], str]:
    def make() -> str:
        text = Path("plan.toml").read_text(encoding="utf-8")
        assert old in text
        Path("plan.toml").write_text(text.replace(old, new), encoding="utf-8")
        return "lstm"

    return make


def another_run() -> str:
    assert call("train", "data of mine/tiny/book.txt", "--model", "ngram", "--out", "my runs/lstm").exit_code == 0
    return "lstm"


def another_text() -> str:
    Path("copy.txt").write_text(PATTERN * 40, encoding="utf-8")
    words = ["--model", "ngram", "--order", 2, "--smoothing", "add-k", "--out", "my runs/counts"]
    assert call("train", "copy.txt", *words).exit_code == 0
    return "counts"


def damaged(content: str) -> Callable[[], str]:
    def make() -> str:
        Path("recorded").mkdir()
        Path("recorded/counts.json").write_text(content, encoding="utf-8")
        return "--missing"

    return make


MISTAKES: dict[str, tuple[list[Any], str]] = {
    "an unknown result": (["run", "lstn", *PLACES], "no result 'lstn' in plan.toml (the nearest is 'lstm')"),
    "no result": (["run", *PLACES], "name the results to measure, or give --missing"),
    "names and --missing": (["run", "lstm", "--missing", *PLACES], "name the results to measure, or give --missing"),
    "no data named": (["run", "lstm", "--plan", "plan.toml"], "give --data, or let NLP_DATA name it"),
    "no folder of data": (["run", "lstm", *PLACES, "--data", "nowhere"], "the folder of data nowhere does not exist"),
    "no plan": (["--plan", "nowhere.toml"], "the plan nowhere.toml cannot be read"),
    "options before the command": (["--plan", "plan.toml", "run", "lstm"], "options stand behind the command"),
    "no such text": (["run", changed_plan("tiny/book.txt", "tiny/none.txt"), *PLACES], "none.txt does not exist"),
    "an option that is not": (["run", changed_plan("--hidden 8", "--hiden 8"), *PLACES], "--hiden"),
    "an option out of range": (["run", changed_plan("--dropout 0 ", "--dropout 2 "), *PLACES], "--dropout must be"),
    "a command that is not": (["run", changed_plan("nlp train {small}", "nlp trian {small}"), *PLACES], "'trian'"),
    "an open quotation": (["run", changed_plan("{small} --epochs 2 {out}", "{small} '{out}"), *PLACES], "quotation"),
    "no run folder": (["run", changed_plan("{small} --epochs 2 {out}", "{small}"), *PLACES], "give --out"),
    "another run in the folder": (["run", another_run, *PLACES], "has other options than"),
    "a run of another text": (["run", another_text, *PLACES], "reads another text than"),
    "a result cut off": (["run", damaged('{"name": "cou'), *PLACES], "counts.json is damaged"),
    "a result without values": (["run", damaged('{"name": "counts"}'), *PLACES], "counts.json is damaged"),
    "a result that is a list": (["run", damaged("[1]"), *PLACES], "counts.json is damaged"),
    "no TOML": (["--plan", changed_plan("[parts]", "[parts")], "is no TOML"),
}


@pytest.mark.usefixtures("in_this_process")
def test_a_figure_that_the_commands_do_not_leave(plan: Plan) -> None:
    changed_plan('"test_perplexity"', '"test_score"')()
    told_in_one_sentence(["results", "run", "counts", *PLACES], "have no test_score")
    assert read_recorded(plan) == {}


@pytest.mark.usefixtures("in_this_process")
def test_a_device_that_is_not_there_is_told_before_anything_is_begun(plan: Plan) -> None:
    assert run("lstm").exit_code == 0
    changed_plan("--device cuda", "--device warp")()
    told_in_one_sentence(["results", "run", "counts", "large", *PLACES], "cannot be run: --device warp: 'warp'")
    assert sorted(path.name for path in Path("my runs").iterdir()) == ["lstm"]
    changed_plan("--epochs 2 {out}", "--epochs 2 --device warp {out}")()
    done = run("lstm")  # it was trained where there is such a device
    assert done.exit_code == 0, done.output
    assert "was done before" in done.stdout


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_in_one_sentence(name: str, plan: Plan) -> None:
    words, message = MISTAKES[name]
    if words == ["--plan", MISTAKES["no TOML"][0][1]]:
        words[1]()
        words = ["--plan", "plan.toml"]
    told_in_one_sentence(["results", *words], message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('system = "LSTM"', "", "the system of the result 'lstm' is missing"),
        ('system = "LSTM"', "system = 3", "the system of the result 'lstm' is missing, or no text"),
        (
            'system = "LSTM"',
            'system = "LSTM"\nsytem = "x"',
            "'sytem', which means nothing there (the nearest is 'system')",
        ),
        ("minutes = 0.1", 'minutes = "few"', "the minutes of the result 'counts' are a number"),
        ("{paper}", "{papers}", "{papers} in '{papers}' is not one of book, small"),
        ("{small} --epochs 2 {out}", "{smal} {out}", "{smal} in 'nlp train {smal} {out}' is not one of book, small"),
        ('["nlp train {small} --epochs 2 {out}"]', "[]", "'lstm' has no list of commands"),
        ('"nlp train {small} --epochs 2 {out}"', '"rm -r {runs}"', 'does not begin with "nlp "'),
        ('["texts", 1, "perplexity"]', "1.5", "is found by a key or a list of keys, not 1.5"),
        ("value = 1.5", 'value = "1.5"', "has no number as its value"),
        ("section.results.lstm", 'section.results."../lstm"', "the name '../lstm' becomes a file's"),
        ('title = "Models"', "", "the title of a section is missing"),
        ('data = "a sentence"', "", "the data of the section 'Models' is missing"),
        ("[[section]]", "[[sections]]", "'sections', which means nothing there (the nearest is 'section')"),
    ],
)
def test_a_plan_that_cannot_be_used_says_where(old: str, new: str, message: str, plan: Plan) -> None:
    text = TINY_PLAN.replace("[section.results", "[sections.results") if new == "[[sections]]" else TINY_PLAN
    assert old in text
    plan.path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(NlpError, match=re.escape(message)) as told:
        read_plan(plan.path)
    assert "\n" not in str(told.value)


def test_a_result_stands_once_in_a_plan(plan: Plan) -> None:
    again = TINY_PLAN[TINY_PLAN.index("[[section]]") :].replace("Models", "More models")
    plan.path.write_text(TINY_PLAN + again, encoding="utf-8")
    with pytest.raises(NlpError, match="the result 'counts' twice"):
        read_plan(plan.path)


# ---- the table shows what is kept -----------------------------------------------------------------------------------

FIGURES = st.floats(0.001, 1e6) | st.just(float("inf"))


@given(st.lists(st.tuples(FIGURES, st.booleans(), st.sampled_from(["x", "y"])), min_size=1, max_size=6), st.data())
def test_a_number_is_shown_if_and_only_if_it_was_measured_so(
    drawn: list[tuple[float, bool, str]], data: st.DataObject
) -> None:
    entries, recorded, expected = [], {}, []
    for number, (value, current, processor) in enumerate(drawn):
        name, peers = f"r{number}", {"score": Peer(2.0, f"source {processor}")}
        entries.append(Entry(name, "system", (f"nlp {number}",), name, {"score": ("s",)}, peers, None, None))
        measured = data.draw(st.booleans())
        if measured:
            commands = (f"nlp {number}" if current else "nlp other",)
            training = {"run": Training(61.2, 1234.4, 2, 1, "cpu")}
            one = Recorded(name, {"score": value}, commands, training, {"processor": processor, "cores": 2}, {}, "now")
            recorded[name] = one
        expected.append(processor if measured and current else None)
    plan = Plan(Path("plan.toml"), (Section("title", "data", tuple(entries)),))
    (table,) = section_tables(plan, recorded)
    markdown = in_markdown(plan, recorded)
    for row, (value, _, processor), shown in zip(table.rows, drawn, expected, strict=True):
        cells = dict(zip(table.headings, row.cells, strict=True))
        source = cells["peer"].removeprefix("2.000 ")
        assert f"{source} score, source {processor}" in table.notes
        if shown is None:
            assert row.state
            assert cells["score"] == row.state
            assert not cells["time"]
            continue
        assert float(cells["score"].replace(",", "").replace("infinite", "inf")) == pytest.approx(
            value, rel=1e-3, abs=6e-4
        )
        assert (cells["time"], cells["tokens/s"]) == ("1:01", "1,234")
        assert any(note.startswith(f"{cells['on']} {processor}, 2 cores") for note in table.notes)
    assert len(table.notes) == len({processor for _, _, processor in drawn}) + len({one for one in expected if one})
    for row in table.rows:
        assert f"| `{row.entry.name}` | {' | '.join(row.cells)} |" in markdown


def test_what_is_written_is_read_again(plan: Plan) -> None:
    runs = {"lstm": Training(12.5, 9000, 3, 1, "cpu")}
    one = Recorded(
        "lstm", {"a": float("inf"), "b": 2}, ("nlp x",), runs, {"processor": "P", "cores": 2}, {"v": "1"}, "d"
    )
    assert write_recorded(plan, one) == recorded_folder(plan) / "lstm.json"
    assert read_recorded(plan) == {"lstm": one}
    assert "Measured, but not in the plan any more" not in call("results", "--plan", "plan.toml").stdout
    (recorded_folder(plan) / "lstm.json").rename(recorded_folder(plan) / "other.json")
    with pytest.raises(NlpError, match="it is the result 'lstm'"):
        read_recorded(plan)


def test_an_infinite_result_of_a_command_is_taken(tmp_path: Path) -> None:
    write_json(tmp_path / "mixed.json", {"texts": [{"perplexity": float("inf")}]})
    entry = Entry("mixed", "both", (), f"{RUNS}/mixed.json", {"score": ("texts", 0, "perplexity")}, {}, None, None)
    assert _values(entry, tmp_path) == {"score": float("inf")}


# ---- the project's own plan -----------------------------------------------------------------------------------------


def test_the_commands_of_the_projects_plan_are_accepted(tmp_path: Path) -> None:
    plan = read_plan()
    for entry in plan.entries.values():
        commands = [understand(text, tmp_path, tmp_path / "runs") for text in entry.commands]
        runs = {str(one.out) for one in commands if isinstance(one, TrainingCommand)}
        source = entry.source.replace(RUNS, str(tmp_path / "runs"))
        assert source in runs or any("--json" in one.words and source in one.words for one in commands)
        for one in commands:
            if isinstance(one, TrainingCommand):
                assert (one.config.to_json()["device"] == "cpu") == (entry.needs is None)


def test_one_folder_holds_one_run_in_the_projects_plan() -> None:
    commands = {command for entry in read_plan().entries.values() for command in entry.commands}
    folders = [folder for command in commands for folder in re.findall(r"--out (\S+)", command)]
    assert len(folders) == len(set(folders))


def test_what_the_project_recorded_belongs_to_its_plan() -> None:
    plan = read_plan()
    recorded = read_recorded(plan)
    assert recorded, "the n-grams are measured in seconds"
    for name, one in recorded.items():
        entry = plan.entry(name)
        assert state_of(entry, recorded) == "", f"{name} was measured with other commands"
        assert one.values.keys() == entry.values.keys()
    text = call("results")
    assert text.exit_code == 0, text.output
    assert PLAN.parent.name == "results"
