"""Typed program to the fewest passes that compute it, with their costs. Imports compiler/{contract,ir}."""
