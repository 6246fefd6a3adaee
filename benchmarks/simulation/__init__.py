"""Predicted and measured makespans of a real Airflow."""
