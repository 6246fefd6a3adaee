"""How an Airflow is set up for the templates: options, pools and profiles."""
