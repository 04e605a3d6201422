"""Topics, limits, keys and sockets: how messages cross process boundaries."""
