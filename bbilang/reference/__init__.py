"""The language reference and the error pages, generated from the registry and the codes. May import everything."""
