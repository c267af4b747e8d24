"""`bbi complete` and `bbi space`. Imports everything but the other front ends."""
