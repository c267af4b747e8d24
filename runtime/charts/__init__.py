"""How each style is drawn: one file per style, from the view model to Altair. Only drawing imports these."""
