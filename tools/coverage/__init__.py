"""Schema coverage: what of the models no test touches (`make coverage-yang`)."""
