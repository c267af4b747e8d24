"""Units of work in other processes, of this machine or of a Ray cluster. Imports runtime/errors.

Units are small and content-addressed: what a worker finished lies in the cache. So a worker or the driver may end at
any moment, and costs the units that were under way.
"""
