"""Network definitions, loaders and descriptions."""
