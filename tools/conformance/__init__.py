"""docs/conformance.md: section by section of each RFC, what is implemented and which test shows it.

``python -m tools.conformance`` writes the page from ``sections/RFC.toml`` and the conformance cases; ``--check`` says
whether it is what would be written.  A section that claims to be implemented and that nothing shows is an error.
"""
