"""Records on disk that several processes share: atomic writes, leases, a size limit. Knows nothing of programs."""
