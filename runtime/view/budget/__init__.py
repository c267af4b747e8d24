"""Budget lines: what is shown, what all of it adds up to, the score, and the score without the layer. Imports
runtime/fields, the compiler's budgets and the view model."""
