"""``aiopt doctor``: what is wrong with an installation, a machine or an Airflow, and what to do about it."""
