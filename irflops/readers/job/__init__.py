"""Reads a job protobuf, as text or in binary."""
