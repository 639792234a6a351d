"""`study.draw`: what is in the picture, and that every graph has one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
import minigrad.nn.functional as F
from minigrad import nn, study
from minigrad.autograd import Function
from minigrad.study.graph import TIMES, numbered
from minigrad.utils.checkpoint import checkpoint

CARRIED = "#b8762a"  # the colour of what leads from step to step
SVG = "{http://www.w3.org/2000/svg}"


def first_graph():
    x = minigrad.ones(2, 3, requires_grad=True)
    y = x + 2
    return x, y, (y * y * 3).mean()


def texts(drawing):
    """All text of the picture, after the XML is read."""
    root = ElementTree.fromstring(drawing.svg)
    return [(element.text or "").replace("\u00a0", " ") for element in root.iter(f"{SVG}text")]


def listing(drawing):
    """The lines of the listing, with one space where there are several and x for the sign of multiplication."""
    return [re.sub(" +", " ", line).replace(TIMES, "x") for line in str(drawing).splitlines()]


def test_the_listing_is_the_graph():
    x, y, loss = first_graph()
    drawing = study.draw(loss, names={"x": x, "y": y, "loss": loss})
    assert listing(drawing) == [
        "leaf x 2 x 3 float32",
        "[1] y = add 2 x 3 <- x",
        "[2] mul 2 x 3 <- [1], [1]",
        "[3] mul 2 x 3 <- [2]",
        "[4] mean scalar <- [3]",
        "result loss scalar float32 <- [4]",
    ]
    assert drawing.leaves == ("x",)
    assert drawing.ops == 4


def test_the_picture_has_all_of_it():
    x, y, loss = first_graph()
    drawing = study.draw(loss, names={"x": x, "y": y})
    assert texts(drawing).count("mul") == 2
    assert {"x", "y = add", "mean", "result", "scalar"} <= set(texts(drawing))
    assert drawing._repr_svg_() == drawing.svg
    arrows = [line for line in drawing.mermaid.splitlines() if "-->" in line]
    assert [line.strip() for line in arrows] == [
        "n0 --> n1", "n1 --> n2", "n1 --> n2", "n2 --> n3", "n3 --> n4", "n4 --> n5"
    ]  # fmt: skip


def test_a_box_tells_what_its_op_keeps_and_where_it_was_written():
    x, _, loss = first_graph()
    tips = [box.tip for box in study.draw(loss).boxes]
    assert f"keeps for its gradient: input 2 {TIMES} 3, other 2 {TIMES} 3" in tips[2]
    assert "test_draw.py" in tips[2]
    assert "in first_graph: return x, y, (y * y * 3).mean()" in tips[2]
    assert str(Path(__file__).parent) not in study.draw(loss).svg
    loss.backward()
    assert "is freed" in study.draw(loss).boxes[2].tip
    assert "has a gradient" in study.draw(loss).boxes[0].tip
    assert x.grad is not None


def test_a_named_tensor_without_a_gradient_is_drawn_where_it_was_kept():
    data, weight = minigrad.ones(4, 2), minigrad.ones(2, 3, requires_grad=True)
    drawing = study.draw((data @ weight).sum(), names={"data": data, "weight": weight})
    assert [box.title for box in drawing.boxes if box.kind == "data"] == ["data"]
    assert "[1] matmul 4 x 3 <- data, weight" in listing(drawing)
    assert drawing.leaves == ("weight",)


def test_several_results_of_an_op_are_written_on_its_wires():
    x = minigrad.ones(4, 6, requires_grad=True)
    first, second = x.split([2, 4], dim=1)
    drawing = study.draw(first.sum() + second.sum())
    assert sorted(link.label for link in drawing.links if link.label) == [
        f"output 0  4 {TIMES} 2",
        f"output 1  4 {TIMES} 4",
    ]


@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_tensor_without_a_graph_is_one_box(requires_grad):
    drawing = study.draw(minigrad.ones(3, requires_grad=requires_grad))
    assert [box.kind for box in drawing.boxes] == ["leaf" if requires_grad else "data"]
    assert drawing.links == ()
    assert "3  float32" in texts(drawing)


class Double(Function):
    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


@minigrad.primitive
def own_cube(input):
    return input * input * input


own_cube.vjp(input=lambda g, input: g * 3 * input * input)


def _written(x):
    y = x * 2
    y[0] = 5.0
    y[1:].mul_(3)
    return y


GRAPHS = {
    "custom": (lambda x: own_cube(x), "own_cube"),
    "Function": (lambda x: Double.apply(x), "Double"),
    "fused": (lambda x: F.layer_norm(x, (3,)), "layer_norm_last"),
    "view": (lambda x: x.reshape(9)[2:5], "basic_index"),
    "in place": (_written, "view_scatter"),
    "checkpoint": (lambda x: checkpoint(lambda y: y.exp() * y, x), "checkpoint"),
    "create_graph": (lambda x: minigrad.grad((x * x.tanh()).sum(), x, create_graph=True)[0], "tanh"),
    "fused, differentiated": (
        lambda x: minigrad.grad(F.layer_norm(x, (3,)).sum(), x, create_graph=True)[0],
        "alias",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_kind_of_graph_is_drawn(name):
    make, op = GRAPHS[name]
    x = minigrad.ones(3, 3, requires_grad=True)
    result = make(x)
    drawing = study.draw(result, x, fold="none", names={"x": x})
    assert op in {name for box in drawing.boxes for name in box.ops}
    assert drawing.leaves == ("x",)
    ElementTree.fromstring(drawing.svg)
    assert drawing.mermaid.count("]:::op") == drawing.ops


def test_drawing_changes_nothing():
    x, _, loss = first_graph()
    study.draw(loss).svg  # noqa: B018 - made for the picture's sake
    loss.backward()
    assert x.grad.tolist() == [[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]


def test_several_results_share_their_graph():
    x = minigrad.ones(2, requires_grad=True)
    y = x.exp()
    drawing = study.draw(y.sum(), y * 2)
    assert [box.title for box in drawing.boxes if box.kind == "result"] == ["result 1", "result 2"]
    assert sum(box.title == "exp" for box in drawing.boxes) == 1


# ---- wires and titles, each once ------------------------------------------------------------------------------------


def drawn_wires(drawing):
    """How many lines the picture has; an arrow's tip is filled, a line is not."""
    return sum(path.get("fill") == "none" for path in ElementTree.fromstring(drawing.svg).iter(f"{SVG}path"))


def test_every_wire_from_a_box_to_itself_is_drawn():
    cell, state = nn.LSTMCell(3, 4), None
    for x in minigrad.randn(9, 2, 3):
        state = cell(x, state)
    drawing = study.draw(state[0].sum(), module=cell, fold="all")
    loops = [link.label for link in drawing.links if link.source == link.target]
    assert loops == [f"h  2 {TIMES} 4", f"c  2 {TIMES} 4"]
    assert drawn_wires(drawing) == len(drawing.links)
    texts = ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")
    said = [one for one in texts if one.get("fill") == CARRIED and (one.text or "").replace("\xa0", " ") in loops]
    upper, lower = (float(one.get("y")) for one in said)
    assert lower - upper >= float(said[0].get("font-size"))


def test_leaves_without_a_name_are_numbered():
    x, y, z = (minigrad.ones(2, requires_grad=True) for _ in range(3))
    drawing = study.draw((x * y).sum() - z, names={"leaf 1": z})
    assert sorted(drawing.leaves) == ["leaf 1", "leaf 2", "leaf 3"]
    assert "[1] mul 2 <- leaf 2, leaf 3" in listing(drawing)
    assert "[3] sub 2 <- [2], leaf 1" in listing(drawing)
    assert drawing.boxes[0].tip.startswith("leaf 2: 2, a leaf")


def test_boxes_of_leaves_with_one_title_are_numbered():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.Module()
            for number in range(6):
                setattr(self.rnn, f"w{number}", nn.Parameter(minigrad.ones(2)))

    model = Net()
    parameters = list(model.parameters())
    rnn, rest = minigrad.cat(parameters[:3]).sum(), minigrad.cat(parameters[3:]).sum()
    drawing = study.draw(rnn.exp() * rest, module=model, fold="all")
    assert [box.title for box in drawing.boxes if box.kind == "leaves"] == ["rnn", "rnn 2"]
    heads = [line for line in listing(drawing) if line.startswith("[")]
    assert sum(line.endswith("<- rnn") for line in heads) == sum(line.endswith("<- rnn 2") for line in heads) == 1


@given(st.lists(st.sampled_from(["a", "a 2", "a 3", "a 2 2", "b"]), max_size=9))
def test_numbered_titles_are_each_once(titles):
    result = numbered(titles)
    assert len(set(result)) == len(titles)
    assert set(titles) <= set(result)
    assert all(new == old or re.fullmatch(rf"{old} \d+", new) for new, old in zip(result, titles, strict=True))


# ---- names that mean something elsewhere ----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_any_name_gives_a_picture_that_can_be_read(name):
    x = minigrad.ones(2, requires_grad=True)
    drawing = study.draw(x * 2, names={name: x})
    ElementTree.fromstring(drawing.svg)
    for line in drawing.mermaid.splitlines()[1:]:
        assert re.fullmatch(r"    (n\d+\W+.*\W+:::\w+|n\d+ -->.* n\d+|classDef [\w# :,]+)", line)
    (label,) = re.findall(r'n0\(\["<b>(.*)</b>', drawing.mermaid)
    assert not re.search(r"[<>\"\[\]{}|`&]", label)
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label) == name


def test_names_are_shown_as_they_are_and_cut_when_long():
    x = minigrad.ones(2, requires_grad=True)
    assert 'a <b> & "c" [d]' in texts(study.draw(x * 2, names={'a <b> & "c" [d]': x}))
    (cut,) = [text for text in texts(study.draw(x * 2, names={"long " * 30: x})) if text.startswith("long")]
    assert len(cut) == 44
    assert cut.endswith("…")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("aW名é ", min_size=1, max_size=70), min_size=1, max_size=5, unique=True))
def test_text_stays_inside_its_box(names):
    tensors = [minigrad.ones(2, requires_grad=True) for _ in names]
    drawing = study.draw(minigrad.stack(tensors).sum(), names=dict(zip(names, tensors, strict=True)), fold="all")
    for group in ElementTree.fromstring(drawing.svg).iter(f"{SVG}g"):
        box = group.find(f"{SVG}rect")
        left, right = float(box.get("x")), float(box.get("x")) + float(box.get("width"))
        for text in group.iter(f"{SVG}text"):
            half = float(text.get("textLength")) / 2
            assert left < float(text.get("x")) - half
            assert float(text.get("x")) + half < right


def test_characters_of_double_width_get_their_room():
    x = minigrad.ones(2, requires_grad=True)
    root = ElementTree.fromstring(study.draw(x, names={"\u540d\u524d\u540d\u524d\u540d\u524d": x}).svg)
    title = next(root.iter(f"{SVG}text"))
    assert float(title.get("textLength")) >= 6 * float(title.get("font-size"))


# ---- files and mistakes ---------------------------------------------------------------------------------------------


def test_saved_by_the_end_of_the_name(tmp_path):
    drawing = study.draw(first_graph()[2])
    for name, text in {"a.svg": drawing.svg, "a.mmd": drawing.mermaid, "a.txt": f"{drawing}\n"}.items():
        drawing.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8") == text
    with pytest.raises(ValueError, match=r"\.svg, \.mmd or \.txt, not as 'a\.png'"):
        drawing.save(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda loss: study.draw(), TypeError, "at least one tensor"),
        (lambda loss: study.draw(3), TypeError, "not a int"),
        (lambda loss: study.draw(loss, names={"x": 3}), TypeError, "names gives 'x' a int"),
        (lambda loss: study.draw(loss, names=[1]), TypeError, "names maps names to tensors.* a list"),
        (lambda loss: study.draw(loss, names={1: loss}), TypeError, "keys of names are text, and 1 is a int"),
        (lambda loss: study.draw(loss, module=3), TypeError, "module is the model.* not a int"),
        (lambda loss: study.draw(loss, depth=-1), ValueError, "depth is 0 .*or more, not -1"),
        (lambda loss: study.draw(loss, depth=1.5), TypeError, "whole number, not a float"),
        (lambda loss: study.draw(loss, fold="time"), ValueError, "auto, all, modules, steps, none, not 'time'"),
        (lambda loss: study.draw(loss, fold="modules", module=nn.Linear(1, 1)), ValueError, "study.watch"),
    ],
)
def test_a_mistake_gets_one_sentence(wrong, error, said):
    with pytest.raises(error, match=said) as caught:
        wrong(first_graph()[2])
    assert "\n" not in str(caught.value)


def test_a_graph_too_large_to_read_is_refused_with_a_way_out():
    y = minigrad.ones(2, requires_grad=True)
    for _ in range(10_000):
        y = y * 1.0001
    with pytest.raises(ValueError, match=r"10,002 boxes with fold='none'.*fold='all'"):
        study.draw(y, fold="none")
    assert [(box.title, box.times) for box in study.draw(y).boxes] == [("leaf", 1), ("mul", 10_000), ("result", 1)]
