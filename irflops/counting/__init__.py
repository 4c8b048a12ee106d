"""A graph and rules into shapes, costs and their sums."""
