"""The ``aiopt`` command line; also reachable as ``airflow aiopt``."""
