"""Searching for good options: random search and successive halving."""

from nlp.tuning.plans import Plan, plan
from nlp.tuning.search import Search

__all__ = ["Plan", "Search", "plan"]
