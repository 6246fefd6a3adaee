"""Messages of queues that tell of uploads: storage notifications in their providers' formats, and our own.

A queue's trigger gives a *payload*, which holds *messages*; a message holds a *notification*, perhaps in an
envelope; and a notification tells of uploads.  What cannot be read becomes a dead letter and stops nothing.

``docs/messages.md`` describes the formats.
"""

from airflow_provider_aiopt.uploads.notifications.dead_letters import DeadLetter, DeadLetters
from airflow_provider_aiopt.uploads.notifications.events import Received, uploads_of_event
from airflow_provider_aiopt.uploads.notifications.messages import Message, messages_of
from airflow_provider_aiopt.uploads.notifications.reading import MAX_MESSAGE_BYTES, Reading, read_message
from airflow_provider_aiopt.uploads.notifications.selecting import Selection

__all__ = [
    "MAX_MESSAGE_BYTES",
    "DeadLetter",
    "DeadLetters",
    "Message",
    "Reading",
    "Received",
    "Selection",
    "messages_of",
    "read_message",
    "uploads_of_event",
]
