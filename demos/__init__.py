"""Known models doing known things: memory networks in torch, the tasks that they learn, and the training loop."""
