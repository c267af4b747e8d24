"""Pages inside other tools: MkDocs, Sphinx, pandoc with Quarto, and Gradio turn texts into pages in a frame. Imports
bbilang/*.py and the runtime; each module of a host imports that host, and nothing else does."""
