"""Print the table of sabotages, in Markdown: `PYTHONPATH=tests python -m sabotage`."""

from __future__ import annotations

import warnings

from sabotage import SABOTAGES
from sabotage.trying import by_its_property, by_the_users_check


def _first_words(said: str | None) -> str:
    """A report in one cell."""
    if said is None:
        return "**nothing**"
    text = " ".join(said.split()).replace("|", "\\|")
    return text if len(text) <= 100 else text[:97] + "..."


def main() -> None:
    """One row for each sabotage: who caught it, and how the report begins."""
    warnings.simplefilter("ignore")
    print("| sabotage | caught by the property | and by the user's check, which says |")
    print("|---|---|---|")
    for sabotage in SABOTAGES:
        caught = sabotage.caught_by if by_its_property(sabotage) is not None else f"**not by** {sabotage.caught_by}"
        print(f"| {sabotage.what} | `{caught}` | {_first_words(by_the_users_check(sabotage))} |")


if __name__ == "__main__":
    main()
