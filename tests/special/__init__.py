"""Special values: what is asked, and PyTorch's stored answers."""
