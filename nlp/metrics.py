"""What a line of metrics.jsonl holds, checked before anything is drawn or compared from it."""

from __future__ import annotations

from typing import Any

from nlp.errors import NlpError
from nlp.strict_json import number

__all__ = ["expect_record"]

# By kind, the numbers that pictures and tables are made of.
NUMBERS = {
    "step": ("epoch", "step", "steps", "loss", "lr", "gradient_norm"),
    "epoch": ("epoch", "valid_loss", "seconds"),
    "results": (),  # a language model's and word vectors' have different ones
}


def expect_record(record: dict[str, Any], where: str) -> dict[str, Any]:
    """The record, if it is a step, an epoch or the results of a run, with the numbers that `nlp.strict_json` has named.

    Raises NlpError for anything else.
    """
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in NUMBERS:
        raise NlpError(f"{where} is no step, epoch or results of a run: remove the line")
    figures = NUMBERS[kind] if kind != "results" else tuple(name for name in record if name != "kind")
    if kind == "results" and not figures:
        raise NlpError(f"{where} is damaged, it has no results: remove the line")
    record = record | {name: number(record[name]) for name in figures if name in record}
    for name in figures:
        if type(record.get(name)) not in (int, float):
            raise NlpError(f"{where} is damaged, its {name!r} is missing or no number: remove the line")
    return record
