"""A plan in words, as JSON and as a diagram. Imports plan and what that imports."""
