"""Feature visualization: images by gradient ascent in shared batches. Imports runtime/{models,passes} and below."""
