"""Cutting batches into calls of the model: how many rows each has, and what happens when memory runs out."""
