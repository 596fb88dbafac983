"""The algorithmic tasks of the field, as generators of batches."""
