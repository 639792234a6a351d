"""The metrics of a run once more as TensorBoard events, where the library tensorboardX is installed.

pip install tensorboardX tensorboard, then: tensorboard --logdir runs
"""

from __future__ import annotations

import importlib.util
import math
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["events_writer"]

FOLDER = "tensorboard"  # in the run folder
FLUSH_SECONDS = 5
STEP_SCALARS = {
    "loss": "train/loss",
    "lr": "train/lr",
    "gradient_norm": "train/gradient_norm",
    "tokens_per_second": "train/tokens_per_second",
}
EPOCH_SCALARS = {"train_loss": "epoch/train_loss", "valid_loss": "epoch/valid_loss"}
Record = Mapping[str, Any]


def events_writer(folder: Path, from_update: int) -> Callable[[Record], None]:
    """What writes records of metrics.jsonl (steps and epochs) into `folder`/tensorboard, over the number of updates.

    `from_update` is how many updates were done before: what an earlier process wrote beyond, and training now does
    again, TensorBoard drops. Records are on the disk seconds later, and once the function that is returned is no longer
    held, or the program ends. Without tensorboardX nothing is written.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        return lambda record: None
    from tensorboardX import SummaryWriter  # here: whoever does not train does not wait for it

    writer = SummaryWriter(
        str(folder / FOLDER),
        purge_step=from_update + 1 if from_update else None,
        flush_secs=FLUSH_SECONDS,
        filename_suffix=f".{from_update}",  # the name has the time in seconds, of which two may begin in one
    )
    update = from_update

    def write(record: Record) -> None:
        nonlocal update
        update = record.get("update", update)  # an epoch has none: it stands where its last step does
        for name, tag in {"step": STEP_SCALARS, "epoch": EPOCH_SCALARS}.get(record["kind"], {}).items():
            if math.isfinite(record[name]):  # others have no place in its pictures
                writer.add_scalar(tag, record[name], update)

    weakref.finalize(write, writer.close)
    return write
