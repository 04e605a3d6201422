"""Ways out of the node: one file a kind, listed in `kinds.KINDS`."""
