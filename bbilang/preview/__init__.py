"""`bbi watch`: a live preview of a text in the browser. Imports bbilang/*.py, bbilang/cli and the runtime.

One process: `build` renders the page whenever `file_watch` sees a save, into `state`; `server` sends it to the browser
if `auth` accepts the request.
"""
