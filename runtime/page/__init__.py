"""View to files: the HTML page, pictures and tables. Imports runtime/{styles,charts,vega,view} and below."""
