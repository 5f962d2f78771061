"""Damaged messages against the protocols: framing, XML, JSON, URIs, XPath and subtree filters.

The law is the same for all: whatever is sent, the answer is well-formed, an error is one of the protocol's own and not
ours, a message that is refused has changed nothing, and the next one is answered.  `targets` says what is sent and to
whom, `mutation` how it is damaged, `run` does it for long (`python -m tests.fuzz --target xml`).
"""
