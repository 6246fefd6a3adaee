"""The stages between reading and writing: a batch of records in, a batch out.

They know nothing of Airflow, of files between the stages or of scheduling.
"""
