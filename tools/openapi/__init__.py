"""OpenAPI 3.1 of what a RESTCONF server with some YANG modules offers (RFC 8040)."""
