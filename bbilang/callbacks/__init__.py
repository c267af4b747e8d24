"""Pages and claims of a network while it is trained: `Recorder`, for plain loops, transformers and Lightning. Imports
bbilang/*.py and the runtime."""

from bbilang.callbacks.recorder import Recorder, TrainingWarning

__all__ = ["Recorder", "TrainingWarning"]
