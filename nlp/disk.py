"""Writing files whole or not at all, with one sentence where the disk does not take them."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nlp import strict_json
from nlp.errors import NlpError

__all__ = [
    "TEMPORARY",
    "disk_errors",
    "expect_place",
    "missing_folders",
    "remove_empty",
    "replacing",
    "write_bytes",
    "write_json",
    "write_text",
]

TEMPORARY = ".tmp"  # how the name of a file ends that is being written


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` when the block ends well, and leaves nothing behind when it does not.

    Whoever looks at `path` sees the old file or the new one, whole. Raises NlpError where the disk is full or refuses.
    """
    with disk_errors(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
            if os.name == "posix":
                folder = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)  # the new name too, not the bytes alone
                finally:
                    os.close(folder)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes) -> None:
    """Make `path` hold `content`."""
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Make `path` hold `text` as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Make `path` hold `content` as JSON that people can read, and every program (see `nlp.strict_json`).

    A file name that is no Unicode stays what it is.
    """
    text = strict_json.dumps(content, indent=2, ensure_ascii=False)
    write_text(path, re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text) + "\n")


def expect_place(path: Path | None) -> None:
    """Raise NlpError where no file can come to be, for want of a folder or because there is one of that name.

    To be called before the work whose results the file is for; None is a file that was not asked for.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise NlpError(f"{path} cannot be written, for there is no folder {path.parent}: make it, or name another")
    if path.is_dir():
        raise NlpError(f"{path} is a folder: name a file in it")


def missing_folders(path: Path) -> list[Path]:
    """The folders that would be made on the way to a folder, and this itself, the innermost first."""
    return [one for one in (path, *path.parents) if not one.exists()]


def remove_empty(folders: list[Path]) -> None:
    """Remove them in turn, but for those that have something in them or are not there."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk says while `path` is written into one sentence."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise NlpError(f"{path} cannot be made, for there is a file where a folder is to be: name another") from error
    except OSError as error:
        kept = ", and the one written before is there still" if path.is_file() else ""
        raise NlpError(
            f"{path} cannot be written ({error.strerror or error}){kept}: "
            f"see that there is space and that the folder may be written to"
        ) from error
