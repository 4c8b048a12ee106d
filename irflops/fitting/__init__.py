"""Ways to need less memory: each worked out by a plan of the graph as it would be, and those that fit into a limit."""
