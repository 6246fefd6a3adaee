"""How an Airflow is set up for the templates: options, pools, profiles and the checks of ``aiopt doctor``."""
