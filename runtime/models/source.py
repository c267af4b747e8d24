"""`code_allowed` by the name that users import it under."""

from bbilang.runtime.models.sources.permission import allow_code, code_allowed

__all__ = ["allow_code", "code_allowed"]
