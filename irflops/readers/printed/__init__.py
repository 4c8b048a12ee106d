"""Reads `print(graph)`, also out of a log."""
