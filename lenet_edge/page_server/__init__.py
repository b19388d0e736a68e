"""Serves the page to this machine's browser, and asks a board what the browser asks of it.

`guard` says who may ask, `lasting` keeps a board at hand, `app` has the answers, `serving` binds, waits and ends.
"""
