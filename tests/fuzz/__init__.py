"""Random models and data: our verdicts beside those of libyang."""
