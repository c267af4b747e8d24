"""One pass over a dataset, cached in shards of 256 examples. Imports runtime/cache and the engines of networks."""
