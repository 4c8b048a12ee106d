"""Operators as the calls that the user wrote: a LayerNorm, not nine primitives."""
