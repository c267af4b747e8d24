"""Plan to results: order of steps, the context of a step, progress events. Imports the plug-ins and below."""
