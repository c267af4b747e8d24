"""The typed program: nodes, types, model descriptions, their JSON form. Imports grammar only."""
