"""minigrad beside PyTorch: the same work, in one process, in turn. `python -m benchmarks`."""
