"""The trigger for a queue's messages, by the queue's scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import MissingExtraError, SpecError
from airflow_provider_aiopt.triggers.redis_stream import RedisStreamTrigger

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

_STREAMS = "redis+streams"

# Where a trigger can leave acknowledging to the task that claims uploads, it does; and none waits for long.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "sqs": {
        "delete_message_on_reception": False,
        "max_messages": 10,
        "visibility_timeout": 300,
        "wait_time_seconds": 20,
        "waiter_delay": 1,
    },
    "google+pubsub": {
        "ack_messages": False,
        "gcp_conn_id": "google_cloud_default",
        "max_messages": 100,
        "poke_interval": 1.0,
        "return_immediately": False,
    },
    "kafka": {
        "apply_function": "airflow_provider_aiopt.airflow.messages.kafka_message",
        "poll_interval": 0.1,
    },
    "redis+pubsub": {"poll_interval": 0.1},
    _STREAMS: {},
}
_EXTRAS = {
    "sqs": "sqs",
    "google+pubsub": "pubsub",
    "kafka": "kafka",
    "redis+pubsub": "redis-messages",
    _STREAMS: "redis-messages",
}


def message_trigger(scheme: str, **options: Any) -> BaseEventTrigger:
    """Return a trigger for the messages of a queue, for an asset's watcher.

    ::

        QUEUE = {"scheme": "sqs", "sqs_queue": "https://sqs.eu-central-1.amazonaws.com/1234/uploads"}
        photos = Asset("photos", watchers=[AssetWatcher(name="queue", trigger=message_trigger(**QUEUE))])

        with DAG("classify", schedule=[photos]):
            TakeUploadsOperator(task_id="take", watch=WATCH, messages=QUEUE) >> ...

    All but Redis streams are Airflow's own triggers, by way of its ``MessageQueueTrigger``.

    :param scheme: ``sqs``, ``google+pubsub``, ``kafka``, ``redis+pubsub`` or ``redis+streams``
    :param options: the trigger's own parameters; ``docs/messages.md`` lists them with their defaults here
    :raises SpecError: if the scheme is none of these, or the trigger does not take the options
    :raises MissingExtraError: if the provider that brings the trigger is not installed
    """
    if scheme not in _DEFAULTS:
        raise SpecError(f"scheme must be one of {', '.join(sorted(_DEFAULTS))}; found {scheme!r}")
    arguments = _DEFAULTS[scheme] | options
    try:
        if scheme == _STREAMS:
            return RedisStreamTrigger(**arguments)
        return _queue_trigger(scheme, arguments)
    except TypeError as error:
        raise SpecError(f"The trigger for {scheme!r} does not take these options: {error}") from error


def _queue_trigger(scheme: str, arguments: dict[str, Any]) -> BaseEventTrigger:
    extra, purpose = _EXTRAS[scheme], f"The trigger for {scheme!r}"
    try:
        from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
    except ImportError as error:
        raise MissingExtraError("airflow.providers.common.messaging", extra, purpose) from error
    queue: Any = MessageQueueTrigger(scheme=scheme, **arguments)
    try:
        trigger: BaseEventTrigger = queue.trigger  # made now, and not when Airflow stores the DAG
    except ValueError as error:  # no installed provider knows the scheme
        raise MissingExtraError(f"a provider of {scheme!r}", extra, purpose) from error
    return trigger
