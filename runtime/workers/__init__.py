"""Units of work computed by other processes, on this machine or a Ray cluster. Imports runtime/errors.

Units are small and content-addressed, and workers write their results to the cache. A worker or the driver may thus die
at any moment, at the cost of the units in progress.
"""
