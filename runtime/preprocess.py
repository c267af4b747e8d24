"""`Preprocess` by the name that users import it under."""

from bbilang.runtime.models.preprocess import Preprocess

__all__ = ["Preprocess"]
