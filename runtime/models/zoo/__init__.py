"""Networks whose code and description ship with the package. Imports torch, and nothing else of the runtime."""
