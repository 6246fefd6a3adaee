"""Profilers of stages, on demand: nothing imports this package in a run that is not profiled."""
