"""The whole node as processes, measured: what `tools/bench_node.py` is made of."""
