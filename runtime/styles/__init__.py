"""One file per style."""
