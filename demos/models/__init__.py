"""Memory-augmented networks in torch, one file per idea, every internal quantity tapped."""
