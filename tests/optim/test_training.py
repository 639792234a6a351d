"""Whole programs: a lecture's, word for word but for the import, and small ones that must learn."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
from nn.oracle import array, close, torch

import minigrad
import minigrad.nn.functional as F
from minigrad import nn, optim


def lecture(torch: Any, nn: Any, optim: Any, start: dict[str, np.ndarray]) -> tuple[list[float], Any]:
    """The XOR program of a first lecture on networks; the argument names stand for the imports."""
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
    model.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    loss_fn = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    losses = []
    for _ in range(400):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model(x)


def start() -> dict[str, np.ndarray]:
    minigrad.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
    return {name: array(value) for name, value in model.state_dict().items()}


def test_the_lectures_program_learns() -> None:
    losses, _ = lecture(minigrad, nn, optim, start())
    assert losses[-1] < losses[0] / 2
    assert losses == sorted(losses, reverse=True) or losses[-1] == min(losses)


@pytest.mark.oracle
def test_the_lectures_program_is_pytorchs() -> None:
    weights = start()
    ours, outputs = lecture(minigrad, nn, optim, weights)
    theirs, expected = lecture(torch(), torch().nn, torch().optim, weights)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    close(outputs, expected, 1e-3)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adam, optim.AdamW])
def test_a_tied_language_model_learns_a_cycle(kind: str, optimizer: Any) -> None:
    """Every symbol says which comes next: a perplexity near 1 within a hundred steps."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Embedding(5, 16)
            self.rnn = getattr(nn, kind)(16, 16, batch_first=True)
            self.decoder = nn.Linear(16, 5)
            self.decoder.weight = self.encoder.weight

        def forward(self, tokens: Any, hidden: Any) -> Any:
            output, hidden = self.rnn(self.encoder(tokens), hidden)
            return self.decoder(output), hidden

    minigrad.manual_seed(0)
    model = Model()
    settings = {"momentum": 0.9} if optimizer is optim.SGD else {}
    rate = {optim.SGD: 0.3, optim.Adagrad: 0.2}.get(optimizer, 0.03)
    steps = optimizer(model.parameters(), lr=rate, **settings)
    tokens = minigrad.arange(41) % 5
    inputs, targets, hidden = tokens[:-1].reshape(4, 10), tokens[1:].reshape(4, 10), None
    for _ in range(100):
        logits, _ = model(inputs, hidden)
        loss = F.cross_entropy(logits.reshape(-1, 5), targets.reshape(-1))
        steps.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        steps.step()
    assert loss.exp().item() < 1.1


def test_a_training_step_leaves_nothing_for_the_collector() -> None:
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2))
    optimizer = optim.Adam(model.parameters())
    x, y = minigrad.randn(5, 3), minigrad.tensor([0, 1, 0, 1, 1])

    def step() -> None:
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    step()
    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()
