"""Pipelines with one planted illness each, which the advisor is to find, to cure, and to predict the gain of.

The advisor sees the run report of a sick pipeline and nothing else: names, folders and DAGs say nothing of
what was planted.  What it recommends is applied as it stands, by program, and the run is measured again.
"""
