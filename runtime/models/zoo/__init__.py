"""Networks whose code and description ship with the package."""
