"""Weights of a language model written in PyTorch give the same perplexity here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad
from nlp.errors import NlpError
from nlp.evaluation.scoring import evaluate
from nlp.models.from_pytorch import from_pytorch
from nlp.text import EvaluationBatches


def pytorch_model(kind: str, layers: int, tied: bool) -> Any:
    torch = pytest.importorskip("torch")

    class LanguageModel(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            hidden = 6 if tied else 9
            self.encoder = torch.nn.Embedding(13, 6)
            self.rnn = getattr(torch.nn, kind)(6, hidden, layers)
            self.decoder = torch.nn.Linear(hidden, 13)
            if tied:
                self.decoder.weight = self.encoder.weight

        def forward(self, input: Any) -> Any:
            return self.decoder(self.rnn(self.encoder(input))[0])

    torch.manual_seed(3)
    return LanguageModel()


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(("layers", "tied"), [(1, False), (3, False), (2, True)])
def test_the_perplexity_is_pytorch_s(kind: str, layers: int, tied: bool, tmp_path) -> None:
    theirs = pytorch_model(kind, layers, tied)
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    weights = theirs.state_dict()
    if tied:
        del weights["decoder.weight"]
    save_file(weights, tmp_path / "weights.safetensors")
    ours = from_pytorch(minigrad.load(tmp_path / "weights.safetensors"))
    ids = np.random.default_rng(0).integers(0, 13, 400)
    loss = evaluate(ours, EvaluationBatches(ids, 1, 17)).loss
    tokens = torch.tensor(ids)
    with torch.no_grad():
        scores = theirs(tokens[:-1, None])[:, 0]
        expected = torch.nn.functional.cross_entropy(scores, tokens[1:]).item()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_other_weights_are_refused_in_one_sentence() -> None:
    from nlp.models.rnn_lm import RNNLM

    model = RNNLM(11, 4, 6, 1)
    good = {name.replace("layers.0", "rnn"): value for name, value in model.state_dict().items()}
    assert from_pytorch(good).decoder.weight.shape == (11, 6)
    bad = [
        {},
        {**good, "extra.weight": minigrad.zeros(3, 3)},
        {name: value for name, value in good.items() if name != "rnn.bias_hh_l0"},
        {**good, "rnn.weight_ih_l0_reverse": good["rnn.weight_ih_l0"]},
        {**good, "embedding.weight": minigrad.zeros(11, 5)},
        {name: value for name, value in good.items() if name != "decoder.bias"},
    ]
    for state in bad:
        with pytest.raises(NlpError, match="that can be taken over: ") as caught:
            from_pytorch(state)
        assert "\n" not in str(caught.value)
