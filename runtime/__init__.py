"""Plan to page: models, passes, kernels, feature visualization, presentation."""

if __name__ != "bbilang.runtime":
    raise ImportError("import this package as bbilang.runtime, never as runtime")
