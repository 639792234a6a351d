"""`draw(loss)`: the graph behind a tensor as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from minigrad.core.tensor import Tensor
from minigrad.nn.module import Module
from minigrad.study.fold import fold_alike, fold_modules, fold_steps, gather_leaves
from minigrad.study.graph import Box, Graph, finish, read
from minigrad.study.svg import to_svg
from minigrad.study.watch import Watched
from minigrad.study.writing import to_mermaid, to_text

Fold = Literal["auto", "all", "modules", "steps", "none"]
FOLDS = ("auto", "all", "modules", "steps", "none")
MANY_OPS = 30  # from here on "auto" looks for time steps
MOST_BOXES = 500


class Drawing:
    """A graph drawn: `print()` lists it, a notebook shows it, `save("graph.svg")` keeps it.

    `boxes` are what is drawn, `links` the wires between them by number.
    """

    def __init__(self, graph: Graph) -> None:
        self.links = tuple(finish(graph))
        self.boxes: tuple[Box, ...] = tuple(graph.boxes)

    @property
    def leaves(self) -> tuple[str, ...]:
        """The names of all leaves in the picture; one without a name is "leaf", several "leaf 1", "leaf 2" ..."""
        return tuple(name for box in self.boxes for name in box.leaves)

    @property
    def ops(self) -> int:
        """How many recorded ops the picture stands for, folded or not."""
        return sum(box.ops.total() for box in self.boxes)

    @cached_property
    def svg(self) -> str:
        """The picture as the text of an SVG file. It stands on a light and on a dark page."""
        return to_svg(self.boxes, self.links)

    @cached_property
    def mermaid(self) -> str:
        """The picture as a Mermaid flowchart, for a Markdown page."""
        return to_mermaid(self.boxes, self.links)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file: `.svg`, `.mmd` (Mermaid) or `.txt` (the listing), by its name's end."""
        path = Path(path)
        kinds = {".svg": "svg", ".mmd": "mermaid", ".txt": ""}
        if path.suffix not in kinds:
            raise ValueError(f"a drawing is saved as .svg, .mmd or .txt, not as {path.name!r}: browsers show an .svg")
        kind = kinds[path.suffix]
        path.write_text(getattr(self, kind) if kind else f"{self}\n", encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return to_text(self.boxes, self.links)

    def __repr__(self) -> str:
        return f"<Drawing of {self.ops} ops in {len(self.boxes)} boxes: print() it, or .save('graph.svg')>"


def draw(
    *tensors: Tensor,
    names: Mapping[str, Tensor] | None = None,
    module: Module | Watched | None = None,
    fold: Fold = "auto",
    depth: int = 1,
) -> Drawing:
    """Draw the graph behind `tensors`: the leaves it begins from, the ops that were recorded, the results.

    Args:
        tensors: the results; usually one, the loss.
        names: what tensors are called: leaves, results, steps between. A named tensor that needs no gradient is drawn
            where an op has kept it for its own.
        module: the model, whose parameters then have their names; or what `study.watch(model)` noted, which also says
            what each layer recorded.
        fold: how a large graph becomes small. "modules" draws one box for each call of a watched module, "steps" draws
            the steps of an unrolled loop once, with the number of repetitions and dashed wires from step to step (see
            `fold_steps` for what counts as a step), "all" does both, "none" neither. "auto" folds modules if they were
            watched, and steps if more than 30 ops are left.
        depth: which modules "modules" means: 0 the watched one itself, 1 the modules in it, 2 those in them ...

    Folding leaves no leaf out, and counts the ops. What is drawn is the graph as it is now: after `backward()` the
    nodes still stand, without what they had kept.

    Raises ValueError for a graph of more than 500 boxes when all is folded, which nobody could read.
    """
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"draw: the graph behind a Tensor can be drawn, not a {type(tensor).__name__}")
    if not tensors:
        raise TypeError("draw: name at least one tensor whose graph is to be drawn, as in draw(loss)")
    if fold not in FOLDS:
        raise ValueError(f"draw: fold is one of {', '.join(FOLDS)}, not {fold!r}")
    _check(names, module, depth)
    watched = module if isinstance(module, Watched) else None
    if fold == "modules" and watched is None:
        raise ValueError(
            "draw: fold='modules' needs to know which module recorded what: run the model inside "
            "`with study.watch(model) as watched:` and pass module=watched"
        )
    model = watched.module if watched is not None else module
    parameters = [] if model is None else list(model.named_parameters())  # type: ignore[union-attr]
    graph = _folded(read(tensors, names or {}, parameters), watched, fold, depth)
    if len(graph.boxes) > MOST_BOXES:
        raise ValueError(
            f"draw: this graph has {len(graph.boxes):,} boxes with fold={fold!r}, and a picture of more than "
            f"{MOST_BOXES} cannot be read: fold='all' draws repeated steps once, study.watch(model) one box for each "
            f"layer, or draw a tensor nearer to the leaves"
        )
    return Drawing(graph)


def _check(names: object, module: object, depth: object) -> None:
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"draw: names maps names to tensors, as in names={{'x': x}}; this is a {type(names).__name__}")
    if module is not None and not isinstance(module, (Module, Watched)):
        raise TypeError(
            f"draw: module is the model, or what `study.watch(model)` noted of it, not a {type(module).__name__}"
        )
    if isinstance(depth, bool) or not isinstance(depth, int):
        raise TypeError(f"draw: depth counts levels of modules, a whole number, not a {type(depth).__name__}")
    if depth < 0:
        raise ValueError(f"draw: depth is 0 (the watched module itself) or more, not {depth}")


def _folded(graph: Graph, watched: Watched | None, fold: Fold, depth: int) -> Graph:
    if fold == "none":
        return graph
    if watched is not None and fold != "steps":
        graph = fold_modules(graph, watched, depth)
    ops = sum(box.kind in ("op", "module") for box in graph.boxes)
    if fold in ("all", "steps") or (fold == "auto" and ops > MANY_OPS):
        graph = fold_alike(fold_steps(graph))
    return gather_leaves(graph)
