"""Which training examples a number of the network rests on. Imports runtime/{losses,models,passes,fields}."""
