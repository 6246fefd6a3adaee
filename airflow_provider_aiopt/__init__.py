"""Apache Airflow provider that runs AI pipelines at the machine's limit and accounts for every second."""

__version__ = "0.1.0"
