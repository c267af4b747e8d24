"""View to files: the HTML page, its script and style, exported pictures and tables."""
