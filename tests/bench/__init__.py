"""Measurements: `make bench`.  Nothing here is a test; no time is asserted anywhere."""
