"""Measurements: `make bench`, described in docs/performance.md.  No time is asserted anywhere."""
