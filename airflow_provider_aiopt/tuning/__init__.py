"""Searching the settings with which a pipeline is fastest on this machine, and proving that they are."""
