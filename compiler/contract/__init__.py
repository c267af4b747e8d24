"""What an operation, a style and a method declare of themselves. Imports grammar and compiler/ir only."""
