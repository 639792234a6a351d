"""Optimizers: what to do with the gradients. `torch.optim`'s names, numbers and state dicts.

    optimizer = optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    loss(model(x), y).backward()
    optimizer.step()

Read `optimizer.py` first; `lr_scheduler` changes the rates between epochs. LBFGS and ConjugateGradient evaluate the
loss several times a step, so their `step` takes a closure.
"""

from minigrad.optim import lr_scheduler
from minigrad.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam, SparseAdam
from minigrad.optim.adaptive import Adadelta, Adagrad, RMSprop
from minigrad.optim.averaged import ASGD
from minigrad.optim.conjugate_gradient import ConjugateGradient
from minigrad.optim.lbfgs import LBFGS
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.rprop import Rprop
from minigrad.optim.sgd import SGD

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ConjugateGradient", "NAdam", "Optimizer",
    "RAdam", "RMSprop", "Rprop", "SparseAdam", "lr_scheduler",
]  # fmt: skip
