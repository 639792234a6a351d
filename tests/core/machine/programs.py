"""A state machine that writes random programs, one statement a step."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from core.machine.jets import Host
from core.machine.running import Running
from core.machine.tensors import Tensor
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

SHAPES = [(2,), (2, 2), (3,), (2, 3), (), (1, 2), (2, 1), (1,), (0,), (0, 2)]
ELEMENTS = 6  # of a tensor at most
TENSORS = 8  # as many live ones at most, leaves not counted
LARGE = 50.0  # from here on values are not multiplied: derivatives grow with their powers

Shape = tuple[int, ...]
Data = st.DataObject
one_of = st.sampled_from


class Programs(RuleBasedStateMachine):
    """Each rule writes a statement, and `Running` runs it."""

    beside_torch = True

    def __init__(self) -> None:
        super().__init__()
        self.running = Running(self.beside_torch)
        self.numbers = itertools.count()
        self.hooks: dict[str, str] = {}  # the name of the handle, and of the tensor

    # ---- choosing ---------------------------------------------------------------------------------------------------

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self.running.tensors()

    def some(self, data: Data, names: Iterable[str] | None = None) -> str:
        """One of the tensors; the latest are the simplest choice."""
        return data.draw(one_of(list(self.tensors if names is None else names)[::-1]))

    def new(self) -> str:
        return f"t{next(self.numbers)}"

    def with_shape(self, accept: Any) -> list[str]:
        return [name for name, one in self.tensors.items() if accept(one.shape)]

    def spread_to(self, shape: Shape) -> list[str]:
        """What broadcasts to this shape."""
        return self.with_shape(lambda other: _broadcast(shape, other) == shape)

    def large(self, *names: str) -> bool:
        return any(np.abs(self.tensors[name].numpy()).max(initial=0.0) > LARGE for name in names)

    def apart(self, target: str, source: str) -> str:
        """The source of a write, apart from the memory that is written: what a loop meets there is left open."""
        shared = self.tensors[source].memory is self.tensors[target].memory
        return f"{source}.clone()" if shared else source

    def write_line(self, data: Data, statement: str) -> None:
        """Run a statement; now and then without recording it."""
        unrecorded = data.draw(st.integers(0, 9)) == 9
        self.running.run(f"with m.no_grad(): {statement}" if unrecorded else statement)

    # ---- making -----------------------------------------------------------------------------------------------------

    @initialize(data=st.data(), shape=one_of([shape for shape in SHAPES if 0 not in shape]))
    def begin(self, data: Data, shape: Shape) -> None:
        self.make_leaf(data, (2, 2), True)
        self.make_leaf(data, shape, True)

    def make_leaf(self, data: Data, shape: Shape, requires_grad: bool) -> None:
        settings = f"dtype=m.float64{', requires_grad=True' if requires_grad else ''}"
        if 0 in shape:
            self.running.run(f"{self.new()} = m.zeros({list(shape)}, {settings})")
            return
        count = int(np.prod(shape))
        numbers = data.draw(st.lists(st.integers(-6, 6), min_size=count, max_size=count))
        values = (np.array(numbers) / 4).reshape(shape).tolist()
        self.running.run(f"{self.new()} = m.tensor({values}, {settings})")

    @precondition(lambda self: sum(one.is_leaf for one in self.tensors.values()) < 6)
    @rule(data=st.data(), shape=one_of(SHAPES), requires_grad=st.booleans())
    def leaf(self, data: Data, shape: Shape, requires_grad: bool) -> None:
        self.make_leaf(data, shape, requires_grad)

    @rule(data=st.data(), function=one_of(["tanh", "sin", "square", "sigmoid", "exp", "clone", "reciprocal"]))
    def function(self, data: Data, function: str) -> None:
        x = self.some(data)
        if function == "square" and self.large(x):
            function = "sin"
        if function == "reciprocal" and _near_zero(self.tensors[x].numpy()):
            function = "clone"
        source = f"({x} * 0.25).tanh()" if function == "exp" else x
        self.write_line(data, f"{self.new()} = {source}.{function}()")

    @rule(data=st.data(), sign=one_of("*+-"))
    def combination(self, data: Data, sign: str) -> None:
        x = self.some(data)
        shape = self.tensors[x].shape
        y = self.some(data, self.with_shape(lambda other: _fits(_broadcast(shape, other))))
        if self.large(x, y):
            sign = "-"
        self.write_line(data, f"{self.new()} = {x} {sign} {y}")

    @rule(data=st.data(), form=one_of(["{} * 0.5", "{} + 1.0", "-{}", "{} / 2.0", "{} - 0.5"]))
    def with_number(self, data: Data, form: str) -> None:
        self.write_line(data, f"{self.new()} = {form.format(self.some(data))}")

    @rule(data=st.data())
    def matrix_product(self, data: Data) -> None:
        x = self.some(data)
        left = self.tensors[x].shape
        y = self.some(data, [*self.with_shape(lambda right: _multiply(left, right)), x])
        if _multiply(left, self.tensors[y].shape) and not self.large(x, y):
            self.write_line(data, f"{self.new()} = {x} @ {y}")

    @rule(data=st.data(), form=one_of(["m.where({0} > 0.1234, {0}, {1})", "m.where({0} > {1} + 0.1234, {1}, {0})"]))
    def choice(self, data: Data, form: str) -> None:
        x = self.some(data)
        shape = self.tensors[x].shape
        y = self.some(data, self.with_shape(lambda other: _fits(_broadcast(shape, other))))
        self.write_line(data, f"{self.new()} = {form.format(x, y)}")

    @rule(data=st.data(), how=one_of(["cat", "stack"]))
    def joined(self, data: Data, how: str) -> None:
        x = self.some(data)
        shape = self.tensors[x].shape
        y = self.some(data, self.with_shape(lambda other: other == shape))
        dims = len(shape) - 1 if how == "cat" else len(shape)
        if 0 <= dims <= 1 and int(np.prod(shape)) * 2 <= ELEMENTS:
            self.write_line(data, f"{self.new()} = m.{how}([{x}, {y}], {data.draw(st.integers(0, dims))})")

    @rule(data=st.data(), how=one_of(["sum", "mean"]), keepdim=st.booleans())
    def reduction(self, data: Data, how: str, keepdim: bool) -> None:
        x = self.some(data)
        shape = self.tensors[x].shape
        dim = data.draw(one_of([None, *range(len(shape)), *([(0, 1)] if len(shape) == 2 else [])]))
        settings = "" if dim is None else f"{dim}, keepdim={keepdim}"
        self.write_line(data, f"{self.new()} = {x}.{how if 0 not in shape else 'sum'}({settings})")

    @rule(data=st.data())
    def part(self, data: Data) -> None:
        """A view; with a list or a mask in the index a copy."""
        x = self.some(data)
        taken = data.draw(one_of(self._parts(x)))
        names = f"{self.new()}, {self.new()}" if taken.startswith((".split", ".chunk", ".unbind")) else self.new()
        self.write_line(data, f"{names} = {x}{taken}")

    def _parts(self, name: str) -> list[str]:
        shape = self.tensors[name].shape
        parts = _indices(name, shape)
        if len(shape) < 2:
            parts += [".unsqueeze(0)", "[None]", f".expand({', '.join(map(str, (2, *shape)))})"]
        if shape:
            parts += [".narrow(0, 0, 1)"] if shape[0] else []
            parts += [".squeeze(0)", "[[]]"]
            parts += [".split(1)", ".chunk(2)", ".unbind(0)", "[[0, 0, 1]]"] if shape[0] == 2 else []
        if len(shape) == 2:
            parts += [".T", ".transpose(0, 1)", ".diagonal()"]
        # Whether a tensor with gaps is reshaped or copied depends on the memory an op has chosen for it.
        if all(space[name].is_contiguous() for space in self.running.spaces.values()):
            parts += [f".reshape({int(np.prod(shape))})", f".view({', '.join(map(str, shape[::-1]))})"] if shape else []
        return parts

    @rule(data=st.data(), how=one_of([".detach()", ".detach().clone()", ".data", ".detach().clone().requires_grad_()"]))
    def cut(self, data: Data, how: str) -> None:
        self.running.run(f"{self.new()} = {self.some(data)}{how}")

    # ---- writing ----------------------------------------------------------------------------------------------------

    def target(self, data: Data) -> str:
        """What is to be written: mostly something that may be, a result in the graph or a view first."""
        tensors = {name: one for name, one in self.tensors.items() if not self._given_out(name)}
        assume(tensors)
        made = [name for name, one in tensors.items() if not one.is_leaf and not (one.base or one).is_leaf]
        free = [name for name, one in tensors.items() if not one.requires_grad]
        kind = data.draw(st.integers(0, 7))
        return self.some(data, (made if kind < 5 else free if kind < 7 else None) or tensors)

    def _given_out(self, name: str) -> bool:
        """Whether it looks at a gradient: which of those share or stretch their memory is each engine's own affair."""
        return any(self.tensors[name].memory is memory for memory in self.running.world.given_out)

    @rule(data=st.data(), how=one_of(["mul_", "add_", "sub_", "copy_"]))
    def write(self, data: Data, how: str) -> None:
        target = self.target(data)
        source = self.some(data, self.spread_to(self.tensors[target].shape))
        if how == "mul_" and self.large(target, source):
            how = "sub_"
        given = source if source == target else self.apart(target, source)
        self.write_line(data, f"{target}.{how}({given})")

    @rule(data=st.data(), how=one_of(["tanh_()", "mul_(0.5)", "zero_()", "fill_(0.75)", "sin_()", "exp_()"]))
    def write_function(self, data: Data, how: str) -> None:
        target = self.target(data)
        if how == "exp_()" and np.max(self.tensors[target].numpy(), initial=0.0) > 3.0:
            how = "sin_()"
        self.write_line(data, f"{target}.{how}")

    @rule(data=st.data())
    def write_part(self, data: Data) -> None:
        target = self.target(data)
        tensor = self.tensors[target]
        index = data.draw(one_of(_indices(target, tensor.shape)))
        region = eval(f"cells{index}", {"cells": tensor.cells, target: tensor})
        fitting = [self.apart(target, name) for name in self.spread_to(region.shape)]
        self.write_line(data, f"{target}{index} = {data.draw(one_of(['0.5', *fitting]))}")

    @rule(data=st.data())
    def write_through_unnamed_view(self, data: Data) -> None:
        target = self.target(data)
        view = data.draw(one_of([one for one in self._parts(target) if not one.startswith((".split", ".ch", ".un"))]))
        if view != "[[]]":
            how = data.draw(one_of(["mul_(3.0)", "add_(1.0)", "sin_()", "zero_()"]))
            self.write_line(data, f"{target}{view}.{how if not self.large(target) else 'zero_()'}")

    @rule(data=st.data(), through=one_of(["{}", "{}.detach()", "{}[...]", "{}[:1]", "{}.transpose(0, -1)"]))
    def write_what_was_saved(self, data: Data, through: str) -> None:
        """A rule keeps a tensor, which is then written: this has to be noticed, whichever way it was written."""
        x = self.target(data)
        through = through if self.tensors[x].shape else "{}.detach()"
        if not self.large(x):
            keep = data.draw(one_of(["{0} = {1}.square()", "{0} = {1} * {1}", "{0} = {1}.sin()"]))
            self.running.run(keep.format(self.new(), x))
            how = data.draw(one_of(["mul_(0.5)", "sin_()", "zero_()", "add_(1.0)"]))
            self.write_line(data, f"{through.format(x)}.{how}")

    # ---- the graph --------------------------------------------------------------------------------------------------

    @property
    def in_graph(self) -> list[str]:
        return [name for name, one in self.tensors.items() if one.requires_grad]

    @property
    def well_placed(self) -> list[str]:
        """Those of which it is known where they lead, and so when a gradient passes."""
        return [name for name in self.in_graph if not self.tensors[name].place().rests_on_claim()]

    @precondition(lambda self: self.well_placed)
    @rule(data=st.data())
    def retain_gradient(self, data: Data) -> None:
        self.running.run(f"{self.some(data, self.well_placed)}.retain_grad()")

    @precondition(lambda self: self.well_placed)
    @rule(data=st.data(), what=one_of(["seen", "g * 2.0", "g * g", "g.sum() + g * 0.0"]))
    def hook(self, data: Data, what: str) -> None:
        """Each gives zeros for zeros: whether these arrive at all is each engine's own affair."""
        name, number = self.some(data, self.well_placed), next(self.numbers)
        result = f"seen.append(({number}, g.detach().clone()))" if what == "seen" else what
        # PyTorch gives None for an output that nothing used, of an op that has several.
        self.running.run(f"h{number} = {name}.register_hook(lambda g: g if g is None else {result})")
        self.hooks[f"h{number}"] = name

    @precondition(lambda self: self.hooks)
    @rule(data=st.data())
    def remove_hook(self, data: Data) -> None:
        handle = data.draw(one_of(list(self.hooks)))
        del self.hooks[handle]
        self.running.run(f"{handle}.remove()")

    @rule(data=st.data(), how=one_of(["{}.grad = None", "{}.grad.zero_()", "{}.grad.mul_(0.5)", "{1} = {0}.grad"]))
    def use_gradient(self, data: Data, how: str) -> None:
        spaces = self.running.spaces.values()
        arrived = [
            name
            for name, one in self.tensors.items()
            if one.is_leaf and all(space[name].grad is not None for space in spaces)
        ]
        if arrived:
            self.running.run(how.format(self.some(data, arrived), self.new()))

    @rule(data=st.data(), requires_grad=st.booleans())
    def toggle(self, data: Data, requires_grad: bool) -> None:
        """Of leaves without views: a view that was taken before would be half in the graph."""
        viewed = [one.base for one in self.tensors.values()]
        leaves = [n for n, one in self.tensors.items() if one.is_leaf and one.base is None and one not in viewed]
        if leaves:
            self.running.run(f"{self.some(data, leaves)}.requires_grad_({requires_grad})")

    @rule(data=st.data())
    def delete(self, data: Data) -> None:
        made = [name for name, one in self.tensors.items() if not one.is_leaf]
        if made:
            self.running.forget(self.some(data, made))

    @precondition(lambda self: sum(not one.is_leaf for one in self.tensors.values()) > TENSORS)
    @rule()
    def delete_the_oldest(self) -> None:
        made = [name for name, one in self.tensors.items() if not one.is_leaf]
        for name in made[: TENSORS // 2]:
            self.running.forget(name)

    # ---- going back -------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """At the end all that is in the graph is differentiated, once and, as far as that is defined, twice."""
        if self.running.failed:
            return
        self._differentiate_twice()
        world = self.running.world
        for name in sorted(self.in_graph[-6:], key=lambda one: world.doubt([self.tensors[one]])):
            if name in self.tensors:
                self._go_back(f"{name}.backward({self._weights(name)}, retain_graph=True)", [name])

    def _differentiate_twice(self) -> None:
        tensors = self.tensors
        roots = [name for name in self.in_graph if tensors[name].order == 2 and not tensors[name].is_leaf][-2:]
        leaves = [name for name in self.in_graph if tensors[name].is_leaf]
        if not roots or not leaves or not self._grad(roots, leaves, "create_graph=True"):
            return
        recorded = [name for name in self.in_graph if self.tensors[name].order == 1]
        if recorded:
            self._grad(recorded[-2:], leaves, "retain_graph=True")

    @precondition(lambda self: self.in_graph)
    @rule(data=st.data(), retain=st.booleans())
    def backward(self, data: Data, retain: bool) -> None:
        roots = self._some_of(data, self.in_graph)
        weights = [self._weights(name) for name in roots]
        if len(roots) == 1:
            statement = f"{roots[0]}.backward({weights[0]}, retain_graph={retain})"
        else:
            statement = f"m.autograd.backward({_list(roots)}, {_list(weights)}, retain_graph={retain})"
        self._go_back(statement, roots)

    @precondition(lambda self: self.in_graph)
    @rule(data=st.data(), retain=st.booleans(), create=st.booleans())
    def grad(self, data: Data, retain: bool, create: bool) -> None:
        roots = self._some_of(data, self.in_graph)
        targets = self._some_of(data, self.in_graph)
        # What was differentiated once can be differentiated once more here.
        create = create and all(self.tensors[name].order == 2 for name in roots)
        self._grad(roots, targets, "create_graph=True" if create else f"retain_graph={retain}")

    def _grad(self, roots: list[str], targets: list[str], settings: str) -> bool:
        names = [self.new() for _ in targets]
        made = f"m.autograd.grad({_list(roots)}, {_list(targets)}, {_list(self._weights(name) for name in roots)}"
        if len(targets) > 1 and any(self.tensors[name].place().hooks for name in targets):
            self.running.leave_torch("it gives a gradient before its hooks where the way goes on from there")
        world, ends = self.running.world, [self.tensors[name] for name in targets]
        on_the_way = world.executed([self.tensors[name] for name in roots], ends, surely=False)
        lost = [self.tensors[name] for name in roots if self.tensors[name].place() not in on_the_way]
        if any(one.place().hooks or one in world.retaining for one in lost):
            self.running.leave_torch("it runs the hooks of roots that lead nowhere")
        statement = f"{', '.join(names)}, = {made}, {settings}, materialize_grads=True)"
        return self._go_back(statement, roots, targets, names if "create" in settings else ())

    def _some_of(self, data: Data, names: list[str]) -> list[str]:
        return data.draw(st.lists(one_of(names[::-1]), min_size=1, max_size=2, unique=True))

    def _weights(self, name: str) -> str:
        shape = self.tensors[name].shape
        if 0 in shape:
            return f"m.zeros({list(shape)}, dtype=m.float64)"
        weights = 1 + np.arange(int(np.prod(shape))).reshape(shape) / 2
        return f"m.tensor({weights.tolist()}, dtype=m.float64)"

    def _go_back(self, statement: str, roots: list[str], targets: Any = None, gradients: Any = ()) -> bool:
        ends = None if targets is None else [self.tensors[name] for name in targets]
        doubt = self.running.world.doubt([self.tensors[name] for name in roots], ends)
        if doubt == "deceived":
            return False  # written through .data: what the graph then gives depends on what a rule had saved
        if self.running.run(statement, doubt, gradients):
            return True
        self.running.begin_anew()
        left = self.tensors
        self.hooks = {handle: name for handle, name in self.hooks.items() if name in left}
        return False


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(texts)}]"


def _indices(name: str, shape: Shape) -> list[str]:
    """What can stand in brackets, to be read or to be written."""
    if not shape:
        return ["[()]", "[...]", "[None]"]
    indices = ["[:]", "[1:]", "[:1]", "[::2]", "[..., :1]", f"[{name} > 0.1234]"]
    indices += ["[0]", "[-1]", "[[0]]"] if shape[0] else []
    indices += ["[[1, 0]]", "[1]"] if shape[0] == 2 else []
    if len(shape) == 2:
        indices += ["[:, 1:]"]
        indices += ["[:, 0]", "[..., -1]", "[:, [0]]"] if shape[1] else []
        indices += ["[0, 0]", "[[0, 0], [0, 1]]"] if shape[0] and shape[1] == 2 else []
    return indices


def _near_zero(values: Host) -> bool:
    return bool(np.abs(values).min(initial=1.0) < 0.25)


def _broadcast(x: Shape, y: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(x, y)
    except ValueError:
        return None


def _fits(shape: Shape | None) -> bool:
    return shape is not None and int(np.prod(shape)) <= ELEMENTS


def _multiply(x: Shape, y: Shape) -> bool:
    """Whether `x @ y` is defined."""
    return bool(x) and bool(y) and x[-1] == y[0]
