"""Traces on other machines.

A recorder writes an ordinary trace into a local spool; a thread sends what is there to a `memviz serve --listen`, which
builds the same trace from it, file by file (`replica`), or uploads sealed segments to an object store (`mirror`). What
arrived is removed from the spool. Sending is by position (the id of a record, the byte of a line), so that whatever is
sent twice after a cut arrives once.
"""
