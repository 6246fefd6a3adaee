"""Profiles of Airflow's settings as data; :mod:`airflow_provider_aiopt.deployment.profiles` reads them."""
