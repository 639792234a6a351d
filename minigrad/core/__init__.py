"""The heart. Read it in this order: tensor, primitive, call, engine, fused, views,
inplace, rows, modes, dtypes, errors."""
