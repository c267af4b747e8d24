"""Plan to results: the order of steps, what a step may use, progress events."""
