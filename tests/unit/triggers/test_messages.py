from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any

import pytest

from airflow_provider_aiopt.exceptions import MissingExtraError, SpecError
from airflow_provider_aiopt.triggers.messages import message_trigger
from airflow_provider_aiopt.triggers.redis_stream import RedisStreamTrigger

QUEUE_MODULE = "airflow.providers.common.messaging.triggers.msg_queue"


class FakeQueueTrigger:
    """What ``MessageQueueTrigger`` is to us: options, and a trigger made of them when it is asked for."""

    known = ("sqs", "kafka", "redis+pubsub", "google+pubsub")

    def __init__(self, *, scheme: str, **options: Any) -> None:
        self.scheme = scheme
        self.options = options

    @property
    def trigger(self) -> FakeQueueTrigger:
        if self.scheme not in self.known:
            raise ValueError("not recognized by any of the registered providers")
        if "wrong" in self.options:
            raise TypeError("unexpected keyword argument 'wrong'")
        return self


@pytest.fixture
def queue_trigger(monkeypatch: pytest.MonkeyPatch) -> type[FakeQueueTrigger]:
    module = ModuleType(QUEUE_MODULE)
    module.MessageQueueTrigger = FakeQueueTrigger  # type: ignore[attr-defined]
    for name in ("airflow.providers.common.messaging", "airflow.providers.common.messaging.triggers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, QUEUE_MODULE, module)
    return FakeQueueTrigger


def test_messages_stay_in_the_queue_where_it_can_be_told_later(queue_trigger: Any):
    sqs: Any = message_trigger("sqs", sqs_queue="q", max_messages=5)
    assert sqs.options["delete_message_on_reception"] is False
    assert sqs.options["max_messages"] == 5, "the caller's options come first"
    pubsub: Any = message_trigger("google+pubsub", project_id="p", subscription="s")
    assert pubsub.options["ack_messages"] is False


def test_kafka_gets_our_reading_of_messages(queue_trigger: Any):
    from airflow_provider_aiopt.airflow.messages import kafka_message

    kafka: Any = message_trigger("kafka", topics=["t"])
    assert kafka.options["apply_function"] == f"{kafka_message.__module__}.{kafka_message.__qualname__}"


def test_a_redis_stream_is_stored_as_it_is_made():
    trigger = message_trigger("redis+streams", stream="s", max_messages=3)
    path, arguments = trigger.serialize()
    assert path == f"{RedisStreamTrigger.__module__}.RedisStreamTrigger"
    assert RedisStreamTrigger(**json.loads(json.dumps(arguments))).serialize() == (path, arguments)


def test_an_unknown_scheme(queue_trigger: Any):
    with pytest.raises(SpecError, match=r"one of google\+pubsub, kafka.*found 'amqp'"):
        message_trigger("amqp")


@pytest.mark.parametrize("scheme", ["sqs", "redis+streams"])
def test_options_that_the_trigger_does_not_take(queue_trigger: Any, scheme: str):
    with pytest.raises(SpecError, match="does not take these options"):
        message_trigger(scheme, wrong=1)


def test_a_provider_that_is_not_installed(queue_trigger: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue_trigger, "known", ())
    with pytest.raises(MissingExtraError, match=r"airflow-provider-aiopt\[kafka\]"):
        message_trigger("kafka", topics=["t"])


def test_common_messaging_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, QUEUE_MODULE, None)
    monkeypatch.setitem(sys.modules, "airflow.providers.common.messaging", None)
    with pytest.raises(MissingExtraError, match=r"airflow-provider-aiopt\[sqs\]"):
        message_trigger("sqs", sqs_queue="q")
