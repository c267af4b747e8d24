"""Sounds: reading, resampling, drawing as spectrograms, and encoding for a page. Imports runtime/samples and numpy, and
soundfile for files."""
