"""PyTorch as the oracle that nobody here wrote: the same drawn calls in both, skipped where it is not installed."""
