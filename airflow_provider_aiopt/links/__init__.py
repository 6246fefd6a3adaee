"""Buttons on the pages of task instances."""
