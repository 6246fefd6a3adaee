"""Triggers: what Airflow's triggerer waits for on behalf of assets and deferred tasks."""
