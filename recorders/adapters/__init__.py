"""Adapters: which probes to place in which class of model. One file per package; third parties use entry points."""
