"""Synthetic traces with known truth, and hypothesis strategies, for memviz's own tests and for plugin authors."""
