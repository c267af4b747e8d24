"""The language reference and the pages about errors, written from what the code declares."""
