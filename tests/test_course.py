"""Programs of the lectures with only the import changed, and the traps an engine can fall into."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad
import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.testing import gradcheck, gradgradcheck


def double(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return minigrad.tensor(rng.normal(size=shape), requires_grad=True)


def test_the_first_gradient():
    x = torch.ones(2, 2, requires_grad=True)
    y = x + 2
    z = y * y * 3
    out = z.mean()
    out.backward()
    assert out.item() == 27
    np.testing.assert_array_equal(x.grad.numpy(), np.full((2, 2), 4.5, np.float32))


def test_the_sequential_loop():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
    criterion = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    inputs, targets = torch.rand(32, 2), torch.rand(32, 1).round()
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_a_layer_whose_state_depends_on_its_input():
    """The path from x through h0 must be counted once, in the first derivative and in the second."""
    lstm = nn.LSTM(2, 3).double()
    first = nn.Linear(2, 3).double()

    def run(x):
        state = torch.tanh(first(x[:1]))
        output, (h, c) = lstm(x, (state, state * 2))
        return output.sum() + (h * c).sum()

    x = double(3, 2, 2)
    assert gradcheck(run, (x,))
    assert gradgradcheck(run, (x,))


def test_a_write_through_a_view_reaches_the_base():
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    v = y[0]
    v.mul_(2)
    y.sum().backward()
    np.testing.assert_array_equal(y.detach().numpy(), [4, 2, 2])
    np.testing.assert_array_equal(x.grad.numpy(), [4, 2, 2])


def test_clipping_one_gradient_leaves_the_other():
    """x + y hands the same array to both; each .grad is its own."""
    x, y = torch.ones(4, requires_grad=True), torch.ones(4, requires_grad=True)
    (x + y).sum().backward()
    nn.utils.clip_grad_norm_([x], 0.5)
    np.testing.assert_allclose(x.grad.numpy(), 0.25, rtol=1e-4)
    np.testing.assert_array_equal(y.grad.numpy(), np.ones(4))


def test_a_weight_used_at_every_step_gets_the_sum_over_its_uses():
    """Backpropagation through time: dL/dw is the sum of what each use contributes, taken by itself."""
    steps = 5
    w, x = double(3, 3), double(steps, 3, seed=1).detach()

    def run(weights):
        h = minigrad.zeros(3, dtype=minigrad.float64)
        for t in range(steps):
            h = torch.tanh(weights[t] @ h + x[t])
        return h.sum()

    (whole,) = minigrad.grad(run([w] * steps), w)
    copies = [w.detach().clone().requires_grad_() for _ in range(steps)]
    parts = minigrad.grad(run(copies), copies)
    np.testing.assert_allclose(whole.numpy(), np.sum([part.numpy() for part in parts], axis=0), rtol=1e-12)


def test_an_rnn_language_model_learns_a_pattern():
    torch.manual_seed(0)
    words = torch.arange(40) % 4
    embedding, lstm, decoder = nn.Embedding(4, 8), nn.LSTM(8, 16), nn.Linear(16, 4)
    parameters = [*embedding.parameters(), *lstm.parameters(), *decoder.parameters()]
    optimizer = optim.Adam(parameters, lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        output, _ = lstm(embedding(words[:-1]).unsqueeze(1))
        loss = F.cross_entropy(decoder(output.squeeze(1)), words[1:])
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda: torch.ones(2, 3) + torch.ones(4), RuntimeError, r"add: shapes \(2, 3\) and \(4,\) do not broadcast"),
        (lambda: torch.ones(3, dtype=torch.int64, requires_grad=True), RuntimeError, "only floating point.*int64"),
        (lambda: (torch.ones(3, requires_grad=True) * 2).backward(), RuntimeError, r"single number.*shape \(3,\)"),
        (lambda: nn.Embedding(5, 2)(torch.tensor([1, 7])), IndexError, r"input\[1\] is row 7, the table has 5 rows"),
        (lambda: torch.ones(2, 3) @ torch.ones(2, 3), RuntimeError, r"matmul: \(2, 3\) @ \(2, 3\).*transpose"),
        (lambda: torch.zeros(3)[5], IndexError, "index 5 is out of range for dimension 0 of size 3"),
        (lambda: torch.ones(3).sum(dim=2), IndexError, "dim 2 is out of range"),
        (lambda: torch.ones(3) * "a", TypeError, "other must be a Tensor or a number, got str"),
        (lambda: nn.LSTM(3, 4)(torch.ones(2, 2, 5)), RuntimeError, "input_size=3"),
        (lambda: nn.Linear(3, 4)(torch.ones(2, 5)), RuntimeError, "5.*3"),
        (lambda: torch.tensor([[1], [2, 3]]), ValueError, "regular nesting"),
    ],
)
def test_bad_input_gets_one_clear_sentence(wrong, error, said):
    with pytest.raises(error, match=said) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_mixed_devices_are_named():
    pytest.importorskip("hypothesis")
    from minigrad.testing import standin

    standin.install()
    with pytest.raises(RuntimeError, match=r"add\(\): the inputs are on different devices, cpu and standin:0"):
        torch.ones(2) + torch.ones(2).to("standin")


def test_asking_for_a_gpu_without_one_is_one_sentence():
    if minigrad.cuda.is_available():
        pytest.skip("this machine has a CUDA card, so asking for one is no mistake")
    for ask in (lambda: torch.ones(2).cuda(), lambda: torch.ones(2, device="cuda"), lambda: torch.ones(2).to("cuda:0")):
        with pytest.raises(RuntimeError, match=r"cuda.*CuPy"):
            ask()
