"""A folder that `memviz run` puts on PYTHONPATH, for the one file in it that Python runs when it starts."""
