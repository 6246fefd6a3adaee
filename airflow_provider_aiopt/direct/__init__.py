"""The direct route: from an upload to a run of Airflow, past the triggerer and its cycle of a second."""
