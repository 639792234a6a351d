"""Small parameters that move as one go where each would have gone, to the last bit, whatever comes between."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import minigrad
import minigrad.nn.functional as F
from minigrad import optim
from minigrad.optim import gathered
from optim.papers import SETTINGS, Settings
from optim.test_optimizers import every, gradient

Shape = tuple[int, ...]

shapes = st.lists(st.sampled_from([(), (1,), (3,), (2, 3), (0, 2), (40,), (2, 1, 4)]), min_size=3, max_size=6)


def made(shape: Shape, seed: int, dtype: Any) -> Any:
    """A leaf with memory of its own, in C's order or in Fortran's."""
    start = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return minigrad.from_numpy(np.array(start, order="F" if seed % 2 else "C")).requires_grad_()


def bumpy(one: Any, t: int) -> Any:
    p = one.detach().numpy()
    return minigrad.tensor(np.asarray(gradient(p, t), p.dtype))


class Run:
    """An optimizer over parameters of drawn shapes: those of more than `small` elements move one by one."""

    def __init__(self, name: str, settings: Settings, shapes: list[Shape], dtype: Any, small: int) -> None:
        self.dtype, self.small = dtype, small
        self.parameters = [made(shape, seed, dtype) for seed, shape in enumerate(shapes)]
        self.optimizer = getattr(optim, name)(self.parameters, **settings)

    def step(self, t: int, places: Collection[int]) -> None:
        for place, one in enumerate(self.parameters):
            one.grad = bumpy(one, t) if place in places else None
        self.go()

    def go(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gathered, "SMALL", self.small)
            self.optimizer.step()

    def states(self) -> list[dict[str, Any]]:
        return [self.optimizer.state[one] for one in self.parameters]

    def bits(self) -> list[Any]:
        """Of all parameters and their states."""
        found: list[Any] = [(one.shape, one.numpy().tobytes()) for one in map(minigrad.Tensor.detach, self.parameters)]
        for state in self.states():
            tensors = {name: value.numpy().tobytes() for name, value in state.items() if name not in numbers}
            found.append({**state, **tensors})
        return found

    def gathered(self) -> list[list[int]]:
        """The places of the parameters that move as one."""
        return [places for _, places in self.optimizer._gathered.families or ()]


numbers = {"step", "mu_product", "eta", "mu"}


def reloaded(run: Run) -> None:
    run.optimizer.load_state_dict(copy.deepcopy(run.optimizer.state_dict()))


def copied(run: Run) -> None:
    run.optimizer = copy.deepcopy(run.optimizer)
    run.parameters = [one for group in run.optimizer.param_groups for one in group["params"]]


def grown(run: Run) -> None:
    run.parameters.append(made((2, 2), len(run.parameters), run.dtype))
    run.optimizer.add_param_group({"params": [run.parameters[-1]]})


def slowed(run: Run) -> None:
    run.optimizer.param_groups[0]["lr"] *= 0.5


def set_anew(run: Run) -> None:
    """Settings that ask for more state from now on."""
    for name, value in {"amsgrad": True, "momentum": 0.5, "centered": True}.items():
        if name in run.optimizer.param_groups[0]:
            run.optimizer.param_groups[0][name] = value


def written(run: Run) -> None:
    """All of a state's tensors in place, seen in the state dict, too."""
    state = run.optimizer.state_dict()["state"].get(0, {})
    for name in state.keys() - numbers:
        state[name] *= 0.5


def replaced(run: Run) -> None:
    for name in run.states()[1].keys() - numbers:
        run.states()[1][name] = run.states()[1][name] * 0.5


def widened(run: Run) -> None:
    """One state is in double precision."""
    for name in run.states()[0].keys() - numbers:
        run.states()[0][name] = run.states()[0][name].double()


def extended(run: Run) -> None:
    """One state holds already what the others are going to be asked for."""
    for name, setting in {"max_exp_avg_sq": "amsgrad", "momentum_buffer": "momentum"}.items():
        if setting in run.optimizer.param_groups[0] and run.states()[1]:  # not of one that never moved
            run.states()[1][name] = run.parameters[1].detach() * 3
    set_anew(run)


def changed(run: Run) -> None:
    """The parameters, in place."""
    with minigrad.no_grad():
        for one in run.parameters:
            one *= 0.5


def regrouped(run: Run) -> None:
    """The first group's last parameter has a group of its own, with settings of its own."""
    first = run.optimizer.param_groups[0]
    if len(first["params"]) > 2:
        apart = {**first, "params": first["params"][-1:], "lr": first["lr"] / 2}
        first["params"] = first["params"][:-1]
        run.optimizer.param_groups.insert(1, apart)


def repointed(run: Run) -> None:
    for name in run.states()[1].keys() - numbers:
        run.states()[1][name].data = run.states()[1][name] * 0.5


def forgotten(run: Run) -> None:
    run.states()[0].clear()


def forgotten_by_all(run: Run) -> None:
    run.optimizer.state.clear()


def moved_away(run: Run) -> None:
    """A parameter gets other memory."""
    run.parameters[0].data = run.parameters[0].detach() * 0.5


def counted(run: Run) -> None:
    if "step" in run.states()[-1]:
        run.states()[-1]["step"] += 1


def gone_on(run: Run) -> None:
    pass


BETWEEN: list[Callable[[Run], None]] = [
    gone_on, reloaded, copied, grown, slowed, set_anew, written, replaced, repointed, forgotten, forgotten_by_all,
    moved_away, counted, widened, extended, changed, regrouped,
]  # fmt: skip


@every
@given(data=st.data(), shapes=shapes, dtype=st.sampled_from([np.float16, np.float32, np.float64]))
def test_what_moves_as_one_goes_where_it_would_by_itself(name: str, data: Any, shapes: list[Shape], dtype: Any) -> None:
    settings = data.draw(SETTINGS[name])
    runs = [Run(name, settings, shapes, dtype, small) for small in (20, -1)]
    if data.draw(st.booleans()):
        for run in runs:
            run.parameters[0].data = run.parameters[0].detach().double()
    places: Collection[int] = range(9)
    with np.errstate(all="ignore"):
        for t in range(1, data.draw(st.integers(3, 9)) + 1):
            between = data.draw(st.sampled_from(BETWEEN)) if t > 2 else gone_on
            places = data.draw(st.sampled_from([places, places, range(9), {0, 1, 2}, {0}]))
            for run in runs:
                between(run)
                run.step(t, places)
            assert runs[0].bits() == runs[1].bits(), (between.__name__, t)
        assert not runs[1].gathered()
        for t in (3, 4):  # alike, so now at the latest
            for run in runs:
                run.step(t, range(9))
        assert runs[0].bits() == runs[1].bits()


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("name", ["Adam", "SGD", "RMSprop"])
def test_nothing_that_comes_between_is_missed(name: str, between: Callable[[Run], None]) -> None:
    runs = [Run(name, {"lr": 0.1}, [(2,), (3, 2), (), (4,)], np.float32, small) for small in (20, -1)]
    for t in range(1, 8):
        for run in runs:
            if t == 4:
                assert run.gathered() == ([[0, 1, 2, 3]] if run.small > 0 else [])
                between(run)
            run.step(t, range(9))
        assert runs[0].bits() == runs[1].bits(), t


def test_only_small_ones_of_like_states_and_memory_of_their_own_move_as_one() -> None:
    run = Run("Adam", {}, [(3,), (2, 2), (30,), (4,), (5,), (2,)], np.float32, 20)
    run.parameters[5].data = minigrad.zeros(4)[1:3]
    run.step(1, {0, 1, 2, 3})
    assert run.gathered() == []
    for t in (2, 3):
        run.step(t, {0, 1, 2, 3})
        assert run.gathered() == [[0, 1, 3]]
    run.step(4, range(6))
    assert run.gathered() == []
    run.step(5, range(6))
    assert run.gathered() == [[0, 1, 3]]  # the step counts of 4 and 5 are others, and 5 is part of something
    copied(run)
    run.step(6, range(6))
    run.step(7, range(6))
    assert run.gathered() == [[0, 1, 3]]  # two that are alike are too few
    run.parameters[5].data = run.parameters[5].detach().clone()
    run.states()[4]["step"] = run.states()[5]["step"] = run.states()[0]["step"]
    run.step(8, range(6))
    run.step(9, range(6))
    assert run.gathered() == [[0, 1, 3, 4, 5]]


def test_a_states_tensors_stay_the_same_objects() -> None:
    run = Run("Adam", {}, [(3,), (2, 2), ()], np.float32, 20)
    run.step(1, range(3))
    before = run.optimizer.state_dict()["state"]
    run.step(2, range(3))
    assert run.gathered() == [[0, 1, 2]]
    mine = np.ones(3, np.float32)
    before[0]["exp_avg"].data = minigrad.from_numpy(mine)
    run.step(3, {0})
    assert before[0]["exp_avg"] is run.states()[0]["exp_avg"]
    assert before[1]["exp_avg"] is run.states()[1]["exp_avg"]
    assert before[0]["exp_avg"].numpy() is mine
    assert not (mine == 1).any()


def test_a_copy_gathers_anew() -> None:
    run = Run("SGD", {"lr": 0.1}, [(3,), (2, 2), (1,)], np.float32, 20)
    run.step(1, range(3))
    run.step(2, range(3))
    assert run.gathered() == [[0, 1, 2]]
    copied(run)
    assert run.gathered() == run.optimizer._gathered.last == []


@pytest.mark.parametrize("name", ["SGD", "Adagrad"])
@given(words=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=3, max_size=5))
def test_sparse_gradients_go_their_own_way(name: str, words: list[list[int]]) -> None:
    runs = [Run(name, {"lr": 0.1}, [(3,), (4, 2), (2,), (2, 2)], np.float32, small) for small in (20, -1)]
    for batch in [*words, words[-1]]:
        for run in runs:
            a, table, b, c = run.parameters
            run.optimizer.zero_grad()
            looked_up = F.embedding(minigrad.tensor(batch), table, sparse=len(batch) < 4)
            (looked_up.square().sum() + a.square().sum() + b.sum() + (c * c).sum()).backward()
            run.go()
        assert runs[0].bits() == runs[1].bits()
    assert runs[0].gathered() == ([[0, 2, 3]] if len(batch) < 4 else [[0, 1, 2, 3]])


def part_of_another(run: Run, t: int) -> None:
    if t == 3:
        run.parameters[2].data = run.parameters[1].data[:]


def parts_of_one_buffer(run: Run, t: int) -> None:
    if t == 3:
        buffer = bytearray(12)
        for one in run.parameters[1:3]:
            one.data = minigrad.from_numpy(np.frombuffer(buffer, np.float32))


def one_state_of_two(run: Run, t: int) -> None:
    if t == 4:
        run.states()[2]["exp_avg"] = run.states()[1]["exp_avg"]


def a_parameter_as_gradient(run: Run, t: int) -> None:
    if t == 4:  # and never again: all goes on from there
        run.parameters[2].grad = run.parameters[1].detach()[:]


def a_state_as_gradient(run: Run, t: int) -> None:
    if t == 4:
        run.parameters[2].grad = run.states()[1]["exp_avg"]


@pytest.mark.parametrize(
    ("share", "left"),
    [
        (part_of_another, [0, 3, 4]), (parts_of_one_buffer, [0, 3, 4]), (one_state_of_two, [0, 3, 4]),
        (a_parameter_as_gradient, [0, 1, 2, 3, 4]), (a_state_as_gradient, [0, 1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_what_shares_memory_moves_in_its_order(share: Callable[[Run, int], None], left: list[int]) -> None:
    runs = [Run("Adam", {"lr": 0.1}, [(2,), (3,), (3,), (4,), ()], np.float32, small) for small in (20, -1)]
    for t in range(1, 8):
        for run in runs:
            for place, one in enumerate(run.parameters):
                one.grad = bumpy(one, t + place)
            share(run, t)
            run.go()
        assert runs[0].bits() == runs[1].bits(), t
    assert runs[0].gathered() == [left]


def test_an_update_of_somebodys_own_sees_one_parameter_at_a_time() -> None:
    class Counting(optim.SGD):
        sizes: list[int] = []

        def _update(self, p: Any, g: Any, state: Any, group: Any) -> None:
            self.sizes.append(p.size)
            super()._update(p, g, state, group)

    parameters = [made((size,), size, np.float32) for size in (1, 2, 3)]
    optimizer = Counting(parameters, lr=0.1)
    for one in parameters:
        one.grad = minigrad.ones(one.shape)
    for _ in range(3):
        optimizer.step()
    assert optimizer.sizes == [1, 2, 3] * 3


def test_a_graph_notices_that_small_parameters_have_moved() -> None:
    run = Run("SGD", {"lr": 0.1}, [(3,), (3,), ()], np.float32, 20)
    run.step(1, range(3))
    run.step(2, range(3))
    a, b, _ = run.parameters
    product = (a * b).sum()
    run.step(3, range(3))
    assert run.gathered() == [[0, 1, 2]]
    with pytest.raises(RuntimeError, match="changed in place"):
        product.backward()
