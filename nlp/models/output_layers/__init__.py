"""From features to words: output layers, some of which cost much less than a product with every word.

`FullSoftmax` is the plain one. `HierarchicalSoftmax` and `AdaptiveSoftmax` are other models, which need less for every
word. `NCE`, `NegativeSampling`, `BlackOut` and `ImportanceSampling` are full softmaxes that are trained on a sample of
the words and judged on all. `layer.py` says what they have in common.
"""

from nlp.models.output_layers.adaptive import AdaptiveSoftmax
from nlp.models.output_layers.full import FullSoftmax
from nlp.models.output_layers.hierarchical import HierarchicalSoftmax
from nlp.models.output_layers.layer import OutputLayer
from nlp.models.output_layers.sampled import NCE, BlackOut, ImportanceSampling, NegativeSampling, Sampled

__all__ = [
    "NCE",
    "OUTPUT_LAYERS",
    "AdaptiveSoftmax",
    "BlackOut",
    "FullSoftmax",
    "HierarchicalSoftmax",
    "ImportanceSampling",
    "NegativeSampling",
    "OutputLayer",
    "Sampled",
]

OUTPUT_LAYERS: dict[str, type[OutputLayer]] = {
    "full": FullSoftmax,
    "hierarchical": HierarchicalSoftmax,
    "adaptive": AdaptiveSoftmax,
    "negative": NegativeSampling,
    "nce": NCE,
    "blackout": BlackOut,
    "importance": ImportanceSampling,
}
