"""What a trace means: replay of state from its generators, and the figures computed from it. Pure numpy."""
