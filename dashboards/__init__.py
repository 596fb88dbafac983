"""Trace -> people: a read-only local server, its data routes, and the pages that draw them."""
