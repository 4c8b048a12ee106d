"""With what the process ends; part of the contract."""

from __future__ import annotations

FINE, FOUND, BAD_INPUT, OUR_BUG, INTERRUPTED = 0, 1, 2, 3, 130
"""FOUND is for findings, differences, and `--strict` with something unknown."""
