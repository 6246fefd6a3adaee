"""The services of ``docker-compose.yaml`` as processes on this machine, with the same files and settings."""

from local_compose.stack import SERVICES, LocalCompose, Programs, Worker

__all__ = ["SERVICES", "LocalCompose", "Programs", "Worker"]
