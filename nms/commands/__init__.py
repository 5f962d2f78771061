"""The `nms` command: one module a topic, each adding its sub-commands to the parser (`add`) and running them."""
