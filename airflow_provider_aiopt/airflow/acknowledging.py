"""Telling a queue that its messages have done their work.

SQS, Pub/Sub and Redis streams deliver a message again until it is acknowledged.  The task that claims uploads
does so, after the claims: a message whose event, run or task was lost on the way comes again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

log = logging.getLogger(__name__)

_SQS_BATCH = 10


def acknowledge(source: Mapping[str, Any], payloads: Sequence[Any]) -> None:
    """Acknowledge the messages of *payloads*.

    A queue that does not answer fails nothing: its messages come again, and the uploads they tell of are
    claimed already.

    :param source: the scheme and the options that the trigger was made with
    :param payloads: what the trigger handed on
    """
    options = dict(source)
    call = _CALLS.get(options.pop("scheme"))
    if call is None:
        return
    try:
        count = call(options, payloads)
    except Exception:
        log.warning("Messages were not acknowledged and will come again, to no effect", exc_info=True)
    else:
        log.info("%d messages acknowledged", count)


def _sqs(options: Mapping[str, Any], payloads: Sequence[Any]) -> int:
    from airflow.providers.amazon.aws.hooks.sqs import SqsHook

    names = ("aws_conn_id", "region_name", "verify")
    hook = SqsHook(**{name: options[name] for name in names if name in options})
    handles = _listed(payloads, "message_batch", "ReceiptHandle")
    for start in range(0, len(handles), _SQS_BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle}
            for number, handle in enumerate(handles[start : start + _SQS_BATCH])
        ]
        hook.get_conn().delete_message_batch(QueueUrl=options["sqs_queue"], Entries=entries)
    return len(handles)


def _google_pubsub(options: Mapping[str, Any], payloads: Sequence[Any]) -> int:
    from airflow.providers.google.cloud.hooks.pubsub import PubSubHook

    names = ("gcp_conn_id", "impersonation_chain")
    hook = PubSubHook(**{name: options[name] for name in names if name in options})
    ack_ids = _listed(payloads, "message", "ack_id")
    if ack_ids:
        hook.acknowledge(
            subscription=options["subscription"], project_id=options["project_id"], ack_ids=ack_ids
        )
    return len(ack_ids)


def _redis_streams(options: Mapping[str, Any], payloads: Sequence[Any]) -> int:
    from airflow_provider_aiopt.airflow.redis_streams import GROUP, connect

    ids = _listed(payloads, "entries", "id")
    if ids:
        with connect(options.get("redis_conn_id")) as client:
            client.xack(options["stream"], options.get("group", GROUP), *ids)
    return len(ids)


def _listed(payloads: Sequence[Any], key: str, name: str) -> list[str]:
    """Return *name* of each message; what is no message of the queue has none."""
    return list(dict.fromkeys(_names(payloads, key, name)))


def _names(payloads: Sequence[Any], key: str, name: str) -> Iterator[str]:
    for payload in payloads:
        messages = payload.get(key) if isinstance(payload, Mapping) else None
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, Mapping) and isinstance(message.get(name), str):
                yield message[name]


_CALLS: dict[str, Callable[[Mapping[str, Any], Sequence[Any]], int]] = {
    "sqs": _sqs,
    "google+pubsub": _google_pubsub,
    "redis+streams": _redis_streams,
}
