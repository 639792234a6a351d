"""What comes out of a study, and how it is kept: a picture and all numbers as JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nlp.disk import disk_errors, missing_folders, remove_empty, write_json
from nlp.pictures import save
from nlp.studies.size import Size
from nlp.text import Prepared
from nlp.versions import versions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Ask", "Row", "Study", "folder_for", "never_stop", "write"]

Ask = Callable[[str, float], bool]  # told what is being done and its share from 0 to 1: whether to go on
Row = Sequence[str | float | None]


class Study(Protocol):
    """The numbers of a study: a frozen dataclass of plain values."""

    def table(self) -> tuple[Sequence[str], list[Row]]:
        """The headings and rows that say the most."""

    def draw(self) -> Figure:
        """The picture."""


def never_stop(what: str, share: float) -> bool:
    """An `Ask` that goes on to the end."""
    return True


@contextmanager
def folder_for(folder: Path) -> Iterator[None]:
    """Make the folder and see that it takes files, before the trainings whose result it is for.

    If the block fails, no empty folder that was made here stays. Raises NlpError where the disk refuses.
    """
    made = missing_folders(folder)
    try:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        yield
    except BaseException:
        remove_empty(made)
        raise


def write(study: Any, name: str, folder: Path, size: Size, prepared: Prepared) -> tuple[Path, Path]:
    """Leave NAME.json and NAME.png in the folder, which is made; returns their paths. Raises NlpError for the disk's.

    The JSON has the numbers, the sizes, the text and the versions.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    numbers, picture = folder / f"{name}.json", folder / f"{name}.png"
    content = {
        "study": name,
        "size": asdict(size),
        "text": {part: prepared.corpus[part] for part in ("name", "source", "sha256")},
        "versions": versions(),
        "result": asdict(study),
    }
    write_json(numbers, content)
    save(study.draw(), picture)
    return numbers, picture
