"""The trace: what one process recorded of one training run, a directory that outlives it.

Data flows through this room one way: RecordData -> writer -> live files -> sealed segments -> reader -> Record.
"""
