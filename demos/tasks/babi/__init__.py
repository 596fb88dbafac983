"""bAbI: stories with questions in twenty families, read from files or made by a simulated world."""
