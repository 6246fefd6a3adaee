"""Making models smaller and faster behind an accuracy gate: export, INT8, FP16, pruning, comparison."""
