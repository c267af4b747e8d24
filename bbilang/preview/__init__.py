"""`bbi watch`: the page of a text in the browser while it is written.

One process: `work` makes the page anew whenever `watching` sees a save, into `shown`; `server` hands that to the
browser, after `guard` has looked at who asks.
"""
