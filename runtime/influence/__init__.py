"""Which training examples a number of the network rests on. Imports runtime/{models,passes,fields}."""
