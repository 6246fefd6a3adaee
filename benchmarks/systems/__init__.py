"""One module per system: it classifies a folder of JPEGs in a process of its own and prints one JSON line."""
