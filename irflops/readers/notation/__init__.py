"""Reads the compact notation of examples, tests and documents: one op call, or a small graph."""
