"""L-BFGS beside PyTorch, conjugate gradient on what it is known to solve, and the search along a line that both use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given
from nn.oracle import array, close, torch

import minigrad
from minigrad import nn, optim
from minigrad.optim.line_search import Point, strong_wolfe
from minigrad.testing import standin

Closure = Callable[[], Any]
both = pytest.mark.parametrize("name", ["LBFGS", "ConjugateGradient"])


def rosenbrock(x: Any, steepness: float = 100) -> Any:
    """A bent valley (n): its minimum, 0, is where all elements are 1."""
    return (steepness * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def closure_for(optimizer: Any, loss: Callable[[], Any]) -> Closure:
    def closure() -> Any:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


def quadratic(n: int, seed: int, dtype: Any = np.float64) -> tuple[Any, Any]:
    """(A, b) of x.Ax / 2 - b.x, with A's eigenvalues between 1 and 20."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
    A = turn @ np.diag(np.linspace(1, 20, n)) @ turn.T
    return minigrad.tensor(A.astype(dtype)), minigrad.tensor(rng.normal(size=n).astype(dtype))


# ---- L-BFGS ---------------------------------------------------------------------------------------------------------

lbfgs_settings = st.fixed_dictionaries(
    {"max_iter": st.integers(1, 8), "history_size": st.integers(1, 5), "max_eval": st.sampled_from([None, 1, 5]),
     "tolerance_change": st.sampled_from([1e-9, 1e-3]), "tolerance_grad": st.sampled_from([1e-7, 1e-2])}
) | st.just({})  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("search", ["strong_wolfe", None])
@given(settings=lbfgs_settings, start=st.lists(st.floats(-2, 2), min_size=2, max_size=5))
def test_lbfgs_takes_pytorchs_steps(search: str | None, settings: dict[str, Any], start: list[float]) -> None:
    paths = []
    for library, optimizers in ((minigrad, optim), (torch(), torch().optim)):
        x = library.tensor(np.array(start), requires_grad=True)
        y = library.tensor(np.array([[0.5]]), requires_grad=True)
        unused = library.tensor(np.zeros(2), requires_grad=True)
        rate = 1 if search else 0.01
        optimizer = optimizers.LBFGS([x, unused, y], lr=rate, line_search_fn=search, **settings)
        path: list[Any] = []
        calls: list[int] = []

        def loss(x: Any = x, y: Any = y, calls: list[int] = calls) -> Any:
            calls.append(1)
            return rosenbrock(x, 3) + ((y - x[0].sin()) ** 2).sum()

        closure = closure_for(optimizer, loss)
        for _ in range(2 if settings else 1):  # rounding grows from direction to direction: at most 20 in all
            first = optimizer.step(closure).detach()
            state = optimizer.state_dict()["state"][0]
            counts = np.array([state["n_iter"], state["func_evals"], len(calls)])
            path.append([array(one) for one in (first, x, y, counts)])
        paths.append(path)
        assert not array(unused).any()
    for ours, theirs in zip(*paths, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            close(one, other, 1e-7)


@pytest.mark.oracle
@pytest.mark.parametrize("search", ["strong_wolfe", None])
def test_lbfgs_goes_on_from_pytorchs_state(search: str | None) -> None:
    start = np.array([-1.2, 1.0, 0.3])

    def make(library: Any, optimizers: Any, values: Any) -> tuple[Any, Any, Closure]:
        x = library.tensor(np.array(values), requires_grad=True)
        optimizer = optimizers.LBFGS([x], lr=1 if search else 1e-3, max_iter=4, line_search_fn=search)
        return x, optimizer, closure_for(optimizer, lambda: rosenbrock(x))

    x, theirs, their_closure = make(torch(), torch().optim, start)
    theirs.step(their_closure)
    state = theirs.state_dict()
    assert state["state"][0].keys() - {"al"} == lbfgs_state_names()
    mine, ours, closure = make(minigrad, optim, array(x))
    state["state"][0] = {name: carried(value) for name, value in state["state"][0].items()}
    ours.load_state_dict(state)
    ours.step(closure)
    theirs.step(their_closure)
    close(mine, x, 1e-9)


def lbfgs_state_names() -> set[str]:
    x = minigrad.ones(2, requires_grad=True)
    optimizer = optim.LBFGS([x])
    optimizer.step(closure_for(optimizer, lambda: (x**4).sum()))
    return set(optimizer.state[x])


def carried(value: Any) -> Any:
    """A value of PyTorch's state, as `minigrad` would have read it from a file."""
    if isinstance(value, list):
        return [carried(one) for one in value]
    return minigrad.tensor(array(value)) if hasattr(value, "detach") else value


# ---- conjugate gradient ---------------------------------------------------------------------------------------------


@given(n=st.integers(1, 12), seed=st.integers(0, 99))
def test_conjugate_gradient_solves_a_quadratic_of_n_variables_in_n_directions(n: int, seed: int) -> None:
    A, b = quadratic(n, seed)
    x = minigrad.zeros(n, dtype=minigrad.float64, requires_grad=True)
    settings: dict[str, Any] = {"tolerance_grad": 0, "tolerance_change": 0, "c2": 1.1e-4}
    optimizer = optim.ConjugateGradient([x], max_iter=n, max_eval=100 * n, **settings)
    optimizer.step(closure_for(optimizer, lambda: x @ (A @ x) / 2 - b @ x))
    assert optimizer.state[x]["n_iter"] <= n
    np.testing.assert_allclose(array(A @ x), array(b), atol=1e-3)  # each search leaves up to c2 of its slope


@given(n=st.integers(2, 4), seed=st.integers(0, 99))
def test_conjugate_directions_are_polak_and_ribieres(n: int, seed: int) -> None:
    """One direction a step, each compared with the formula and the rules for beginning again, in plain NumPy."""
    x = minigrad.tensor(np.random.default_rng(seed).normal(size=n), requires_grad=True)
    optimizer = optim.ConjugateGradient([x], max_iter=1, tolerance_change=0)
    since = 0
    for _ in range(10):
        memory = {name: array(value) for name, value in optimizer.state[x].items()}
        optimizer.step(closure_for(optimizer, lambda: rosenbrock(x)))
        g, d = (array(optimizer.state[x][name]) for name in ("prev_flat_grad", "d"))
        expected, since = -g, since + 1
        if memory and since <= n and abs(g @ memory["prev_flat_grad"]) < 0.1 * g @ g:
            before = memory["prev_flat_grad"]
            expected = -g + max(0, g @ (g - before) / (before @ before)) * memory["d"]
        if expected @ g >= 0 or np.array_equal(expected, -g):
            expected, since = -g, 1
        np.testing.assert_allclose(d, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("start", [[-1.2, 1.0], [0.0, 0.0, 2.0, -1.0]])
@both
def test_rosenbrocks_valley_is_followed_to_its_end(name: str, start: list[float]) -> None:
    x = minigrad.tensor(np.array(start), requires_grad=True)
    settings = {"line_search_fn": "strong_wolfe"} if name == "LBFGS" else {}
    optimizer = getattr(optim, name)([x], max_iter=300, tolerance_change=1e-16, tolerance_grad=1e-9, **settings)
    first = optimizer.step(closure_for(optimizer, lambda: rosenbrock(x)))
    close(first, rosenbrock(np.array(start)), 1e-12)
    np.testing.assert_allclose(array(x), np.ones(len(start)), atol=1e-6)
    assert optimizer.state[x]["func_evals"] < 200


def test_conjugate_gradient_finds_what_scipy_finds() -> None:
    scipy = pytest.importorskip("scipy.optimize")
    x = minigrad.tensor(np.array([-1.0, 0.5, 2.0]), requires_grad=True)
    optimizer = optim.ConjugateGradient([x], max_iter=200, tolerance_change=1e-16)

    def loss(x: Any) -> Any:
        return ((x - 1) ** 4).sum() + (x[0] * x[1]) ** 2 + 0.5 * x[2] ** 2

    optimizer.step(closure_for(optimizer, lambda: loss(x)))
    expected = scipy.minimize(loss, np.array([-1.0, 0.5, 2.0]), method="CG", options={"gtol": 1e-9})
    np.testing.assert_allclose(array(x), expected.x, atol=1e-4)


# ---- what holds for both --------------------------------------------------------------------------------------------


@both
@given(seed=st.integers(0, 99), before=st.integers(1, 3))
def test_a_resumed_run_is_the_run_bit_for_bit(name: str, seed: int, before: int) -> None:
    start = np.random.default_rng(seed).normal(size=4).astype(np.float32)

    def make(values: Any) -> tuple[Any, Any]:
        x = minigrad.tensor(values, requires_grad=True)
        return x, getattr(optim, name)([x], lr=1e-3 if name == "LBFGS" else 1, max_iter=3)

    x, optimizer = make(start)
    for _ in range(before):
        optimizer.step(closure_for(optimizer, lambda: rosenbrock(x)))
    copy, resumed = make(array(x))
    resumed.load_state_dict(optimizer.state_dict())
    for leaf, one in ((x, optimizer), (copy, resumed)):
        for _ in range(2):
            one.step(closure_for(one, lambda leaf=leaf: rosenbrock(leaf)))
    assert x.dtype == minigrad.float32
    np.testing.assert_array_equal(array(copy), array(x))


@both
def test_a_step_never_raises_the_loss_of_a_search(name: str) -> None:
    minigrad.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x, y = minigrad.randn(20, 3), minigrad.randn(20, 1)
    settings = {"line_search_fn": "strong_wolfe"} if name == "LBFGS" else {}
    optimizer = getattr(optim, name)(net.parameters(), max_iter=5, **settings)
    closure = closure_for(optimizer, lambda: ((net(x) - y) ** 2).mean())
    with minigrad.no_grad():
        losses = [optimizer.step(closure).item() for _ in range(8)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


@both
def test_sparse_gradients_and_other_devices(name: str) -> None:
    standin.install()
    results = []
    for device, sparse in (("cpu", False), ("cpu", True), ("standin", False)):
        minigrad.manual_seed(0)
        table = nn.Embedding(4, 2, sparse=sparse).to(device)
        optimizer = getattr(optim, name)(table.parameters(), max_iter=3)
        index = minigrad.tensor([1, 1, 3], device=device)
        for _ in range(2):
            optimizer.step(closure_for(optimizer, lambda table=table, index=index: (table(index) ** 4).sum()))
        results.append(table.weight)
    close(results[1], results[0], 1e-6)
    close(results[2], results[0], 1e-5)


@both
def test_mistakes(name: str) -> None:
    one, other = (minigrad.ones(1, requires_grad=True) for _ in range(2))
    with pytest.raises(ValueError, match=f"{name} moves all parameters as one vector"):
        getattr(optim, name)([{"params": [one]}, {"params": [other]}])
    with pytest.raises(TypeError, match=f"{name}.step needs a closure"):
        getattr(optim, name)([one]).step()
    with pytest.raises(TypeError, match=f"{name}.step: the closure returned None, and must return the loss"):
        getattr(optim, name)([one]).step(lambda: None)
    for empty in ([{"params": []}], [minigrad.ones(0, 2, requires_grad=True)]):
        with pytest.raises(ValueError, match=f"{name}: its parameters have no elements, so there is nothing to move"):
            getattr(optim, name)(empty)


@both
def test_a_state_that_cannot_go_on_is_refused_at_once(name: str) -> None:
    three, two = (minigrad.zeros(n, requires_grad=True) for n in (3, 2))
    optimizer, target = (getattr(optim, name)([one], max_iter=2) for one in (three, two))
    optimizer.step(closure_for(optimizer, lambda: rosenbrock(three)))
    with pytest.raises(ValueError, match=rf"{name}: .* of shape \(3,\), where this optimizer needs \(2,\)"):
        target.load_state_dict(optimizer.state_dict())
    for key in optimizer.state[three].keys() - {"d"}:
        state = optimizer.state_dict()
        del state["state"][0][key]
        with pytest.raises(ValueError, match=f"{name}: .*the state of parameter 0 lacks '{key}'"):
            optimizer.load_state_dict(state)


def test_nothing_moves_where_the_gradient_is_zero() -> None:
    x = minigrad.ones(2, requires_grad=True)
    for optimizer in (optim.LBFGS([x]), optim.ConjugateGradient([x])):
        assert optimizer.step(closure_for(optimizer, lambda: ((x - 1) ** 2).sum())).item() == 0
        assert array(x).tolist() == [1, 1]
        assert optimizer.state[x] == {"func_evals": 1, "n_iter": 0}


# ---- the search -----------------------------------------------------------------------------------------------------


@given(shift=st.floats(0.05, 20), wave=st.floats(0, 2), first=st.floats(1e-3, 10), c2=st.sampled_from([0.9, 0.1, 0.01]))
def test_a_search_ends_where_the_strong_wolfe_conditions_hold(
    shift: float, wave: float, first: float, c2: float
) -> None:
    calls = []

    def evaluate(t: float) -> Point:
        calls.append(t)
        slope = 2 * (t - shift) + wave * math.sin(3 * t)
        return Point(t, (t - shift) ** 2 - wave / 3 * math.cos(3 * t), np.array([slope]), slope)

    start = evaluate(0.0)
    assume(start.slope < 0)
    calls.clear()
    found, used = strong_wolfe(evaluate, start, first, 1.0, 60, c2=c2)
    assert used == len(calls)
    assert found.t in calls
    assert found.loss <= start.loss + 1e-4 * found.t * start.slope
    assert abs(found.slope) <= c2 * abs(start.slope)


@pytest.mark.oracle
@given(
    shift=st.floats(0.05, 20), wave=st.floats(0, 20), first=st.floats(1e-3, 30), c2=st.sampled_from([0.9, 0.1, 1e-4]),
    budget=st.integers(1, 25),
)  # fmt: skip
def test_a_search_tries_what_pytorchs_tries(shift: float, wave: float, first: float, c2: float, budget: int) -> None:
    tensor, found = torch().tensor, []

    def values(t: float) -> tuple[float, float]:
        found[-1].append(t)
        return (t - shift) ** 2 - wave / 3 * math.cos(3 * t), 2 * (t - shift) + wave * math.sin(3 * t)

    def ours(t: float) -> Point:
        loss, slope = values(t)
        return Point(t, loss, np.array([slope]), slope)

    def theirs(_: Any, t: Any, __: Any) -> tuple[float, Any]:
        loss, slope = values(float(t))
        return loss, tensor([slope], dtype=torch().float64)

    found.append([])
    start = ours(0.0)
    assume(start.slope < 0)
    end, _ = strong_wolfe(ours, start, first, 1.0, budget, c2=c2)
    found[-1].append(end.t)
    found.append([0.0])
    line = torch().ones(1, dtype=torch().float64)
    gradient = tensor(start.gradient)
    search = pytest.importorskip("torch.optim.lbfgs")
    t = search._strong_wolfe(theirs, None, first, line, start.loss, gradient, gradient[0], c2=c2, max_ls=budget)[2]
    found[-1].append(float(t))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


@given(budget=st.integers(0, 6))
def test_a_search_keeps_to_its_budget_and_gives_the_lowest_point(budget: int) -> None:
    seen = []

    def evaluate(t: float) -> Point:
        seen.append(Point(t, -math.tanh(t - 50), np.zeros(1), -1 / math.cosh(t - 50) ** 2))
        return seen[-1]

    start = evaluate(0.0)
    found, used = strong_wolfe(evaluate, start, 1e-3, 1.0, budget, c2=1e-9)
    assert used == len(seen) - 1 <= budget + 1
    assert found.loss == min(seen[0].loss, seen[-1].loss)


def test_a_straight_line_is_followed_ten_times_as_far_each_time() -> None:
    found, _ = strong_wolfe(lambda t: Point(t, -t, np.zeros(1), -1.0), Point(0.0, 0.0, np.zeros(1), -1.0), 1.0, 1.0, 5)
    assert found.t == 10.0**5
