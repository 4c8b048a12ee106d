"""Machines, and how long a graph takes on one: two times, a floor that none can beat and an estimate, and what binds."""
