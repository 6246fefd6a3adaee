"""Benchmarks: this package beside its peers on the same files and the same model.  Not part of the wheel."""
