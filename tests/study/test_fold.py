"""Folding by time step, and of what is alike."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import Counter
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad import nn, study
from minigrad.study import fold
from minigrad.study.graph import TIMES, read
from study.drawings import STEPS, boxes, carried


def test_fifty_steps_of_a_cell_are_a_few_boxes():
    cell, h = nn.RNNCell(4, 6), None
    for x in minigrad.randn(STEPS, 3, 4):
        h = cell(x, h)
    drawing = study.draw(h.sum(), module=cell)
    assert boxes(drawing) == [("rnn_cell", STEPS), ("sum", 1)]
    assert carried(drawing) == [("rnn_cell", "rnn_cell")]
    assert drawing.ops == STEPS + 1
    assert set(drawing.leaves) == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
    assert f"{TIMES} {STEPS}" in drawing.svg.replace("\u00a0", " ")
    assert "n1 -.-> n1" in drawing.mermaid
    assert "[1] of the step before" in str(drawing)


def test_a_cell_of_many_ops_and_a_loss_at_every_step():
    W, U = minigrad.randn(6, 4, requires_grad=True), minigrad.randn(6, 6, requires_grad=True)
    h, loss = minigrad.zeros(6), minigrad.zeros(())
    for x in minigrad.randn(20, 4):
        h = minigrad.tanh(W @ x + U @ h)
        loss = loss + (h * h).sum()
    drawing = study.draw(loss, names={"W": W, "U": U, "loss": loss})
    assert boxes(drawing) == [(op, 20) for op in ("matmul", "matmul", "add", "tanh", "mul", "sum", "add")]
    assert sorted(carried(drawing)) == [("add", "add"), ("tanh", "matmul")]
    assert drawing.leaves == ("W", "U")


@pytest.mark.parametrize("begin", [0, minigrad.zeros(())], ids=["number", "tensor"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_sum_that_begins_from_a_number_has_no_first_step_of_its_own(begin, turned):
    weight, h, loss = minigrad.randn(6, 6, requires_grad=True), minigrad.randn(6, requires_grad=True), begin
    for _ in range(20):
        h = minigrad.tanh(weight @ h)
        part = (h * h).sum()
        loss = part + loss if turned else loss + part
    drawing = study.draw(loss, fold="all")
    assert boxes(drawing) == [(op, 20) for op in ("matmul", "tanh", "mul", "sum", "add")]
    assert sorted(carried(drawing)) == [("add", "add"), ("tanh", "matmul")]
    into_sum = [link for link in drawing.links if drawing.boxes[link.target].title == "add"]
    assert len(into_sum) == 2
    graph = fold.fold_steps(read([loss], {}, []))
    inputs = {(graph.boxes[wire.source].title, wire.place) for wire in graph.wires if wire.target == into_sum[0].target}
    assert inputs == ({("sum", 0), ("add", 1)} if turned else {("add", 0), ("sum", 1)})


def test_a_product_that_begins_from_one_and_a_sum_within_an_outer_loop():
    x, total = minigrad.ones(2, requires_grad=True), 0
    for _ in range(5):
        product = 1
        for _ in range(4):
            x = x.sin()
            product = product * x
        total = total + product
    drawing = study.draw(total, fold="steps")
    assert boxes(drawing) == [("sin", 20), ("mul", 20), ("add", 5)]


def test_only_a_sum_or_a_product_may_have_its_first_input_elsewhere():
    x, difference = minigrad.ones(2, requires_grad=True), 0
    for step in range(6):
        x = x.sin()
        difference = minigrad.sub(x, 0) if step == 0 else minigrad.sub(difference, x)
    drawing = study.draw(difference, fold="steps")
    assert ("sub", 6) not in boxes(drawing)
    assert drawing.ops == 12


def test_the_gates_of_an_lstm_stay_apart():
    weight = minigrad.randn(24, 10, requires_grad=True)
    h, c = minigrad.zeros(6), minigrad.zeros(6)
    for x in minigrad.randn(10, 4):
        i, f, g, o = (weight @ minigrad.cat([x, h])).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    drawing = study.draw(h)
    # The first step's cat has nothing to give a gradient to, so that this one step is drawn by itself.
    repeated = [title for title, times in boxes(drawing) if times == 9]
    ops = "concatenated matmul split_with_sizes sigmoid mul sigmoid tanh mul add sigmoid tanh mul"
    assert repeated == ops.split()
    assert sorted(carried(drawing)) == [("add", "mul"), ("mul", "concatenated")]
    assert drawing.ops == study.draw(h, fold="none").ops


def test_a_state_that_is_a_leaf_begins_the_first_step():
    w, h = minigrad.ones(3, requires_grad=True), minigrad.ones(3, requires_grad=True)
    first = h
    for _ in range(40):
        h = (h * w).tanh()
    drawing = study.draw(h, names={"w": w, "h0": first})
    assert boxes(drawing) == [("mul", 40), ("tanh", 40)]
    assert "<- h0, w, [2] of the step before" in str(drawing)


def test_a_loop_in_a_loop():
    w, v, h = (minigrad.ones(3, requires_grad=True) for _ in range(3))
    for _ in range(5):
        for _ in range(4):
            h = h * w
        h = (h + v).exp()
    drawing = study.draw(h, fold="steps", names={"w": w, "v": v})
    assert boxes(drawing) == [("mul", 20), ("add", 5), ("exp", 5)]
    assert drawing.ops == 30


def test_loops_side_by_side_are_no_loop_of_loops():
    w, total = minigrad.ones(2, requires_grad=True), []
    for _ in range(4):
        h = w.exp()
        for _ in range(10):
            h = h * w
        total.append(h)
    drawing = study.draw((total[0] - total[1]).exp() * (total[2] + total[3]))
    assert max(times for _, times in boxes(drawing)) == 10
    assert drawing.ops == 48


def test_layers_with_weights_of_their_own_are_no_loop():
    h = minigrad.ones(3, requires_grad=True)
    weights = [minigrad.ones(3, requires_grad=True) for _ in range(8)]
    for weight in weights:
        h = (h * weight).tanh()
    drawing = study.draw(h, fold="all")
    assert [times for _, times in boxes(drawing)] == [1] * 16
    assert len(drawing.leaves) == 9


def test_steps_of_other_shapes_are_no_loop():
    h = minigrad.ones(9, requires_grad=True)
    for _ in range(8):
        h = h[1:] * 2
    assert all(times == 1 for _, times in boxes(study.draw(h, fold="all")))


def test_steps_that_reach_further_back_are_no_loop_of_one_step():
    """Fibonacci: each value is the sum of the last two, so a step uses two steps before."""
    a = minigrad.ones(2, requires_grad=True)
    b = a.exp()
    for _ in range(12):
        a, b = b, a + b
    drawing = study.draw(b, fold="steps")
    assert drawing.ops == 13
    assert len(drawing.boxes) < 8
    # Each value goes to the next sum and to the one after: no wire of the loop is lost or turned around.
    assert ("add", "add") in carried(drawing)


def test_twice_is_drawn_twice():
    x = minigrad.ones(2, requires_grad=True)
    assert boxes(study.draw(x.tanh().tanh(), fold="all")) == [("tanh", 1), ("tanh", 1)]
    assert boxes(study.draw(x.tanh().tanh().tanh(), fold="all")) == [("tanh", 3)]


def test_what_is_done_to_every_step_beforehand_is_drawn_once():
    embedding, cell = nn.Embedding(5, 4), nn.GRUCell(4, 6)
    words = minigrad.randint(0, 5, (STEPS, 3))
    inputs = [embedding(word) for word in words]
    h = None
    outputs = []
    for x in inputs:
        h = cell(x, h)
        outputs.append(h)
    drawing = study.draw(minigrad.stack(outputs).sum())
    assert drawing.ops == study.draw(h, fold="all").ops + 2  # stacked and summed
    assert max(times for _, times in boxes(drawing)) >= STEPS - 1
    assert len(drawing.boxes) < 15


@st.composite
def programs(draw):
    """A loop of drawn ops over drawn weights: its body as (op, operands), numbers below zero being leaves."""
    body = draw(
        st.lists(
            st.tuples(st.sampled_from(["mul", "add", "sub", "tanh", "sin"]), st.integers(-3, 9), st.integers(-3, 9)),
            min_size=1,
            max_size=6,
        )
    )
    return body, draw(st.integers(1, 12)), draw(st.integers(0, 3))


def run(program):
    """The last values of the program; operand k >= 0 is the value k ops ago, or the first leaf."""
    body, steps, prelude = program
    leaves = [minigrad.full((2,), 0.1, requires_grad=True) for _ in range(3)]
    values = []

    def operand(number):
        return leaves[number] if number < 0 else values[-1 - number] if number < len(values) else leaves[0]

    for name, first, second in [*body[:prelude], *body * steps]:
        if name in ("tanh", "sin"):
            values.append(getattr(operand(first), name)())
        else:
            values.append(getattr(minigrad, name)(operand(first), operand(second)))
    return values, leaves


@settings(max_examples=150, deadline=None)
@given(programs(), st.sampled_from(["all", "steps", "auto"]))
def test_folding_keeps_every_leaf_every_op_and_every_connection(program, how):
    values, leaves = run(program)
    names = {f"leaf {number}": leaf for number, leaf in enumerate(leaves)}
    results = values[-2:]
    plain = study.draw(*results, names=names, fold="none")
    folded = study.draw(*results, names=names, fold=how)
    assert sorted(folded.leaves) == sorted(plain.leaves)
    assert folded.ops == plain.ops
    assert sum((box.ops for box in folded.boxes), start=type(folded.boxes[0].ops)()) == sum(
        (box.ops for box in plain.boxes), start=type(plain.boxes[0].ops)()
    )

    def kinds(drawing):
        """Which ops feed which, by name: each leaf by its own."""
        names = [box.leaves or tuple(box.ops) or (box.title,) for box in drawing.boxes]
        return {
            (source, target) for one in drawing.links for source in names[one.source] for target in names[one.target]
        }

    assert kinds(folded) == kinds(plain)
    # What is not carried leads onwards: the picture has no circle but the loops'.
    assert all(link.carried or link.source < link.target for link in folded.links)
    lines = ElementTree.fromstring(folded.svg).iter("{http://www.w3.org/2000/svg}path")
    assert sum(line.get("fill") == "none" for line in lines) == len(folded.links)


def test_what_is_done_alike_but_used_differently_stays_apart():
    x, w = minigrad.ones(2, requires_grad=True), minigrad.ones(2, requires_grad=True)
    a, b, c, d = ((x * w).sin() for _ in range(4))
    drawing = study.draw((a - b).exp() * (c + d), fold="all")
    assert all(times == 1 for _, times in boxes(drawing))


def test_what_is_used_alike_but_comes_from_elsewhere_stays_apart():
    x = minigrad.ones(2, 6, requires_grad=True)
    drawing = study.draw(minigrad.cat([part.sigmoid() for part in x.chunk(3, dim=1)]), fold="all")
    assert all(times == 1 for _, times in boxes(drawing))


def test_steps_whose_inputs_are_of_several_kinds_are_no_loop():
    x, h = minigrad.ones(2, requires_grad=True), minigrad.ones(2, requires_grad=True)
    inputs = [x.sin() if kind == "s" else x.cos() for kind in "sccssc"]
    for one in inputs:
        h = h * one
    drawing = study.draw(h, fold="steps")
    assert [times for title, times in boxes(drawing) if title == "mul"] == [1] * 6


class Structures:
    """A number for each structure: two values have the same one if they are computed alike from the same leaves."""

    def __init__(self):
        self.known = {}

    def of(self, *description):
        return self.known.setdefault(description, len(self.known))

    def leaf(self, box):
        return self.of(box.title)

    def op(self, box, inputs):
        return self.of(box.title, tuple(sorted(inputs)))


def plain_structures(graph, structures):
    """The structure of every box of a graph that is not folded."""
    result = []
    for box, wires in zip(graph.boxes, graph.incoming(), strict=True):
        inputs = [(wire.place, result[wire.source]) for wire in wires]
        result.append(structures.op(box, inputs) if box.kind == "op" else structures.leaf(box))
    return result


def unrolled_structures(graph, structures):
    """The structures that a graph with one folded loop stands for, if it says so without doubt; else None."""
    repeated = [number for number, box in enumerate(graph.boxes) if box.times > 1]
    incoming, now = graph.incoming(), {}
    for number, box in enumerate(graph.boxes[: repeated[0]]):
        inputs = [(wire.place, now[wire.source]) for wire in incoming[number]]
        now[number] = structures.op(box, inputs) if box.kind == "op" else structures.leaf(box)
    found = []
    for step in range(graph.boxes[repeated[0]].times):
        before = dict(now)
        for number in repeated:
            places = {wire.place: [] for wire in incoming[number]}
            for wire in incoming[number]:
                places[wire.place].append(wire)
            inputs = []
            for place, wires in places.items():
                wanted = [wire for wire in wires if wire.carried == (step > 0)] if len(wires) > 1 else wires
                if len(wanted) != 1 or (wanted[0].source not in now and not wanted[0].carried):
                    return None
                if not wanted[0].carried or step > 0:
                    inputs.append((place, (before if wanted[0].carried else now)[wanted[0].source]))
            now[number] = structures.op(graph.boxes[number], inputs)
            found.append(now[number])
    return found


checked = Counter()


@settings(max_examples=300, deadline=None)
@given(programs())
def test_a_folded_loop_unrolls_to_what_was_recorded(program):
    """Steps are told apart by nothing but wires and counts: what they say must be what was computed, op by op."""
    values, leaves = run(program)
    names = {f"leaf {number}": leaf for number, leaf in enumerate(leaves)}
    plain = read(values[-1:], names, [])
    with mock.patch.object(fold, "_fold_runs", wraps=fold._fold_runs) as folding:
        folded = fold.fold_steps(read(values[-1:], names, []))
    if [len(call.args[1]) for call in folding.call_args_list] != [1]:
        return  # no loop, or several
    structures = Structures()
    recorded = Counter(plain_structures(plain, structures))
    unrolled = unrolled_structures(folded, structures)
    checked[unrolled is not None] += 1
    if unrolled is not None:
        assert Counter(unrolled) <= recorded


def test_loops_were_unrolled():
    """The property above looks only at programs with a single loop: there must have been some."""
    assert checked[True] > 20
