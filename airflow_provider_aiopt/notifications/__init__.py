"""Notifiers: what tells people through Airflow's own interface."""
