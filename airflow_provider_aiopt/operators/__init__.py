"""Airflow operators, one for each stage."""
