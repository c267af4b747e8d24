"""A plan as text, JSON and diagram. Imports compiler/{plan,ir}."""
