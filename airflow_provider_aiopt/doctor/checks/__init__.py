"""The checks of ``aiopt doctor``; :mod:`airflow_provider_aiopt.doctor.catalogue` lists them."""
