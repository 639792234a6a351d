"""What stands beside the engine under PyTorch's name: `minigrad.utils.checkpoint`."""
