"""Linear maps between layers, read from the network's graph; nothing runs. Imports passes, and what it imports."""
