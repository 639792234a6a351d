"""See inside: draw the graph behind a tensor.

    from minigrad import study

    print(study.draw(loss, names={"x": x}))     # a listing, for a terminal
    study.draw(loss).save("graph.svg")          # a picture; "graph.mmd" for Mermaid

    with study.watch(model) as watched:         # which module recorded what
        loss = criterion(model(x), y)
    study.draw(loss, module=watched)            # one box for each layer

Nothing but minigrad itself is needed. Read on in `graph.py` (what is drawn), `fold.py` (how a large graph becomes a
small picture), `layout.py` (where the boxes go).
"""

from minigrad.study.draw import Drawing, draw
from minigrad.study.watch import Watched, watch

__all__ = ["Drawing", "Watched", "draw", "watch"]
