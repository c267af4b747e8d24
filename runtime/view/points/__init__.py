"""Many points of one element, packed for a page: places, columns, names and thumbnails. Imports what view may
import."""
