"""Programs for those who work on molmo_node: benchmarks, training, evaluation."""
