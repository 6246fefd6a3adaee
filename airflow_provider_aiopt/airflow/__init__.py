"""The bridge to Airflow: configuration, connections, metrics and the ``airflow aiopt`` commands."""
