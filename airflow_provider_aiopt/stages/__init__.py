"""The four stages: records in, records out, with nothing of Airflow and nothing of scheduling."""
