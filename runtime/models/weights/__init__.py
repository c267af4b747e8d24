"""Weight files: downloaded, read without running code, matched to a module. Imports as runtime/models does."""
