"""Model export and quantisation behind an accuracy gate."""
