"""Output heads: from a model's output tensors to the columns of a result."""
