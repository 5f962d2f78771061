"""The models as Python classes: `gen/` is generated from `yang/` by `make bindings`; around it, a thin typed face."""
