"""Frame transports side by side: what `tools/bench_transport.py` is made of."""
