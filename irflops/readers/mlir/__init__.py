"""Reads a saved graph: the folder, or its model.mlir alone."""
