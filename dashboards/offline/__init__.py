"""One record as a file of its own: the Scope and Lineage pages with their data, without a server or a network."""
