"""Uploads: new objects of a folder or bucket, each offered until a run has claimed it, and claimed once.

What others build on, and where it is:

* :class:`~airflow_provider_aiopt.uploads.records.Upload`: one version of one object
* :class:`~airflow_provider_aiopt.spec.uploads.UploadWatchSpec`: what to watch and how to offer it
* :func:`~airflow_provider_aiopt.uploads.watching.watch`: an asynchronous iterator of lists of uploads
* :class:`~airflow_provider_aiopt.uploads.claims.ClaimStore`: ``open(state, watch_id)`` and
  ``claim(uploads, consumer, run_id)``, which returns what the run has and what others have
* :class:`~airflow_provider_aiopt.uploads.batches.BatchStore`: runs that the direct route will create

``docs/events.md`` tells how it works and why.
"""
