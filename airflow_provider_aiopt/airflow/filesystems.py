"""File systems with the credentials of Airflow connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_aiopt.data.folder import resolve_filesystem
from airflow_provider_aiopt.exceptions import StorageError


def resolve_with_connection(
    uri: str, *, connection: str | None, storage_options: Mapping[str, Any]
) -> tuple[Any, str]:
    """Find the file system of *uri*, with an Airflow connection's credentials where one is named.

    The connection may also stand in the URL, as for Airflow's own ``ObjectStoragePath``:
    ``s3://my_connection@bucket/key``.

    :returns: an fsspec file system and the path within it
    :raises StorageError: if the connection or the driver is missing
    """
    scheme, separator, rest = uri.partition("://")
    authority, slash, path = rest.partition("/")
    if separator and connection is None and "@" in authority:
        connection, _, authority = authority.rpartition("@")
        uri = f"{scheme}://{authority}{slash}{path}"
    if connection is None:
        return resolve_filesystem(uri, storage_options=storage_options)
    filesystem = _open(scheme, uri, connection, storage_options)
    return filesystem, str(filesystem._strip_protocol(uri))  # noqa: SLF001 - what fsspec's own url_to_fs calls


def _open(scheme: str, uri: str, connection: str, storage_options: Mapping[str, Any]) -> Any:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError
    from airflow.sdk.io import get_fs

    try:
        Connection.get(connection)  # for want of it, Amazon's file system would go on as somebody else
        return get_fs(scheme, connection, dict(storage_options))
    except (AirflowException, AirflowRuntimeError) as error:
        raise StorageError(
            f"The Airflow connection {connection!r} for {uri} cannot be had: {error}. Create it with "
            f"'airflow connections add {connection}'; 'airflow aiopt ...' finds only those in a secrets "
            f"backend or in AIRFLOW_CONN_{connection.upper()}"
        ) from error
    except (ImportError, ValueError) as error:
        raise StorageError(
            f"Airflow knows no file system for {uri}: {error}. Install the provider that brings it, for s3 "
            "with: pip install 'airflow-provider-aiopt[s3]'"
        ) from error
