"""Reads what `irflops.capture` wrote."""
