"""Records on disk shared by several processes: atomic writes, leases, a size limit. Imports runtime/files.py only."""
