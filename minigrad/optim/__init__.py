"""Optimizers: what to do with the gradients. `torch.optim`'s names, numbers and state dicts.

    optimizer = optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    loss(model(x), y).backward()
    optimizer.step()

Read `optimizer.py` first; `lr_scheduler` changes the rates between epochs.
"""

from minigrad.optim import lr_scheduler
from minigrad.optim.adaptive import Adagrad, Adam, AdamW, RMSprop
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
