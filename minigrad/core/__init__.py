"""The heart. Read it in this order: tensor, primitive, engine, views, modes, dtypes, errors."""
