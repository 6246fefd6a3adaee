"""Stages in pods: what a pod is asked to be, where its time went and why it failed; no Airflow, no client."""
