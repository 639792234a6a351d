"""Folding by module."""

from __future__ import annotations

import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad import nn, study
from study.drawings import STEPS, boxes, carried


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.body = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.LayerNorm(5))
        self.head = nn.Linear(5, 3)

    def forward(self, words):
        return self.head(self.body(self.embedding(words)) * 2)


def watched_tagger():
    model = Tagger()
    words = minigrad.tensor([1, 2, 3])
    with study.watch(model) as watched:
        scores = model(words)
    return model, watched, F.cross_entropy(scores, minigrad.tensor([0, 1, 2]))


def test_each_module_is_a_box():
    model, watched, loss = watched_tagger()
    drawing = study.draw(loss, module=watched)
    modules = [box for box in drawing.boxes if box.kind == "module"]
    assert [box.title for box in modules] == ["embedding: Embedding", "body: Sequential", "head: Linear"]
    assert modules[1].ops.total() == 3
    assert drawing.ops == study.draw(loss, fold="none").ops
    assert set(drawing.leaves) == {name for name, _ in model.named_parameters()}
    (listed,) = [box for box in drawing.boxes if box.kind == "leaves"]
    assert len(listed.lines) == 4  # of body's two layers


@pytest.mark.parametrize(
    ("depth", "titles"),
    [
        (0, ["Tagger"]),
        (2, ["body.0: Linear", "body.1: Tanh", "body.2: LayerNorm"]),
        (3, []),
    ],
)
def test_how_deep_modules_are_folded(depth, titles):
    _, watched, loss = watched_tagger()
    drawing = study.draw(loss, module=watched, depth=depth, fold="modules")
    assert [box.title for box in drawing.boxes if box.kind == "module"] == titles


def test_a_module_alone_gives_names_and_folds_nothing():
    model, _, loss = watched_tagger()
    drawing = study.draw(loss, module=model)
    assert {box.kind for box in drawing.boxes} == {"leaf", "op", "result"}
    assert "body.2.weight" in drawing.leaves


@pytest.mark.parametrize("learned_input", [False, True])
def test_a_module_called_at_every_step_is_one_box(learned_input):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = Step()

        def forward(self, inputs):
            h = minigrad.zeros(3, 5)
            for x in inputs:
                h = self.cell(x * 2, h)
            return h.sum()

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.input, self.state = nn.Linear(4, 5), nn.Linear(5, 5, bias=False)

        def forward(self, x, h):
            return minigrad.tanh(self.input(x) + self.state(h))

    model = Net()
    with study.watch(model) as watched:
        inputs = minigrad.randn(STEPS, 3, 4, requires_grad=learned_input)
        loss = model(inputs.unbind() if learned_input else inputs)
    drawing = study.draw(loss, module=watched)
    assert boxes(drawing)[-2:] == [("cell: Step", STEPS), ("sum", 1)]
    assert carried(drawing) == [("cell: Step", "cell: Step")]
    assert drawing.ops == study.draw(loss).ops
    deeper = study.draw(loss, module=watched, depth=2)
    assert ("cell.state: Linear", STEPS) in boxes(deeper)


def test_watching_ends_with_its_block_and_survives_an_error():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    with study.watch(model) as watched:
        with pytest.raises(RuntimeError):
            model(minigrad.ones(5, 4))
        out = model(minigrad.ones(5, 2))
    assert [(call.path, call.kind) for call in watched.calls] == [("0", "Linear"), ("1", "Tanh"), ("", "Sequential")]
    model(minigrad.ones(5, 2))
    assert len(watched.calls) == 3
    assert boxes(study.draw(out, module=watched)) == [("0: Linear", 1), ("1: Tanh", 1)]


def test_an_error_that_a_module_catches_leaves_its_call_whole():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.risky, self.safe = nn.Linear(9, 9), nn.Linear(2, 3)

        def forward(self, x):
            x = x.exp()
            with pytest.raises(RuntimeError):
                self.risky(x)
            return self.safe(x)

    model = Careful()
    with study.watch(model) as watched:
        out = model(minigrad.ones(5, 2, requires_grad=True))
    drawing = study.draw(out, module=watched, depth=0)
    assert [(box.title, box.ops.total()) for box in drawing.boxes if box.kind == "module"] == [("Careful", 2)]
