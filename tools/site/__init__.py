"""`nms model doc`: a browsable site of a set of YANG modules, in plain files without outside resources."""
