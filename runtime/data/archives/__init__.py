"""Archives of pictures, read in place: nothing of them is ever written to a disk. Imports runtime/data/listing and
what that imports."""
