"""The networks, one file each, named after it."""
