"""The demo models once more, in plain numpy loops and float64: slow, and as close to the papers as code can be."""
