"""Planted data that ships with the project: pictures whose content is known, drawn when they are read. Imports nothing
else of the runtime; what is in a picture is said without numpy."""
