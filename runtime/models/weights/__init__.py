"""Weight files: fetched, read without running code, matched to a module."""
