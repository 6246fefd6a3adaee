"""Transforms: from a record's bytes to the tensors that a model takes."""
