"""Run by the Python that has Google's provider: pull messages with its trigger and acknowledge them."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from google.cloud import pubsub_v1

from airflow_provider_aiopt.airflow.acknowledging import acknowledge
from airflow_provider_aiopt.triggers.messages import message_trigger

PROJECT, TOPIC, SUBSCRIPTION = "photos", "uploads", "airflow"


async def first_payload(trigger: Any) -> Any:
    events = trigger.run()
    try:
        return (await anext(events)).payload
    finally:
        await events.aclose()


def main() -> None:
    sent = json.loads(sys.stdin.read())
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic = publisher.topic_path(PROJECT, TOPIC)
    subscription = subscriber.subscription_path(PROJECT, SUBSCRIPTION)
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic, ack_deadline_seconds=600)
    for message in sent:
        publisher.publish(topic, message["data"].encode(), **message["attributes"]).result(30)

    source = {"scheme": "google+pubsub", "project_id": PROJECT, "subscription": SUBSCRIPTION}
    payloads: list[Any] = []
    while sum(len(payload["message"]) for payload in payloads) < len(sent):
        payloads.append(asyncio.run(asyncio.wait_for(first_payload(message_trigger(**source)), 30)))
    acknowledge(source, payloads[:1])
    # What was not acknowledged is delivered at once again when its deadline is set to none.
    ids = [message["ack_id"] for payload in payloads for message in payload["message"]]
    subscriber.modify_ack_deadline(subscription=subscription, ack_ids=ids, ack_deadline_seconds=0)
    acknowledged = {message["message"]["message_id"] for message in payloads[0]["message"]}
    answer = subscriber.pull(subscription=subscription, max_messages=100, return_immediately=True)
    again = {received.message.message_id for received in answer.received_messages}
    answered = {"payloads": payloads, "acknowledged_again": sorted(again & acknowledged)}
    sys.stdout.write(f"{json.dumps(answered)}\n")


main()
