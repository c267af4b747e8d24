"""The language server, `bbi lsp`: diagnostics, completion, hover, fixes and formatting for editors.

    text -> logical lines      -> checked statements   -> answers
            logical_lines.py      incremental_check.py    completion.py, hover.py, fixes.py ...; protocol.py, server.py

Lines and statements that did not change are reused from one keystroke to the next. May import bbilang.grammar,
bbilang.compiler, bbilang.reference and bbilang.registry, and what loads no torch of bbilang.runtime and bbilang.cli.
"""
