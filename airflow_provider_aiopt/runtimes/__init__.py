"""Model runtimes behind one protocol."""
