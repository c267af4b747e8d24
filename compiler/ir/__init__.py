"""The typed program: nodes, field types, model descriptions and their JSON form. Imports grammar."""
