"""The language server, `bbi lsp`: what an editor shows of a .bbi text while it is written.

    text -> logical lines -> checked statements -> answers
            lines.py         rechecking.py         completion, hover, fixes ...

Lines and statements that did not change are kept from one keystroke to the next. Nothing here imports torch.
"""
