"""The stage timings pages in Airflow's UI."""
