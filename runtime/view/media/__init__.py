"""The pictures and sounds of a page, each once. Imports runtime/sound and the view's own model."""
