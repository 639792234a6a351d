"""Things that are wrong on purpose, each with the property that has to find it."""

from . import memory, modules, optimizers, pairs, rules, shapes
from .making import Sabotage

SABOTAGES: list[Sabotage] = [
    sabotage for module in (rules, shapes, memory, pairs, modules, optimizers) for sabotage in module.SABOTAGES
]
