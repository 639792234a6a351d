"""Judging: how well a model foresees a text, how runs compare, what is inside the weights."""

from nlp.evaluation.scoring import Evaluation, TextEvaluation, evaluate, evaluate_text, perplexity

__all__ = ["Evaluation", "TextEvaluation", "evaluate", "evaluate_text", "perplexity"]
