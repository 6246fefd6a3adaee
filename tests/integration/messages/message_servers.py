"""Real servers for the tests of message sources, each on loopback and ended with the tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from airflow_support import wait_until
from components import CACHE, alone, requires_program, requires_success
from redis_server import free_port, listens

_HERE = Path(__file__).parent
_KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.enable=false
"""


# Base64 of 16 bytes. One made at random begins with a dash now and then, which the tool takes for an option.
_CLUSTER = "YWlvcHQtdGVzdC1icm9rZQ"


def connection(kind: str, **values: object) -> str:
    """An Airflow connection as an environment variable has it."""
    return json.dumps({"conn_type": kind, **values})


class KafkaBroker:
    """A broker of one node, which is its own controller."""

    def __init__(self, folder: Path) -> None:
        java = requires_program("java", "apt-get install default-jre-headless")
        libraries = _kafka_libraries()
        self.port = free_port()
        properties = folder / "server.properties"
        settings = _KAFKA.format(port=self.port, controller=free_port(), folder=folder)
        properties.write_text(settings, encoding="utf-8")
        run = [java, "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{libraries}/*"]
        arguments = [
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            _CLUSTER,
            "--config",
            str(properties),
        ]
        subprocess.run([*run, *arguments], check=True, capture_output=True, timeout=120)
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen([*run, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
        wait_until(lambda: listens(self.port), "Kafka listens", timeout=120)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _kafka_libraries() -> Path:
    requires_program("mvn", "apt-get install maven")
    pom = _HERE / "kafka_broker" / "pom.xml"
    folder = CACHE / "kafka-4.3.1"
    with alone("kafka"):
        if (folder / "complete").exists():
            return folder
        command = [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={folder}",
        ]
        requires_success("Kafka broker", command, "needs a Maven repository that mvn reaches")
        (folder / "complete").touch()
    return folder


class PubsubEmulator:
    """Google's own in-memory Pub/Sub, from the tests of its Go client; it ends with this process."""

    def __init__(self) -> None:
        program = CACHE / "pubsub-emulator"
        source = _HERE / "pubsub_emulator"
        # go.mod names modules that the Go of Debian 12, 1.19, can build; -C is not known to it.
        command = ["go", "build", "-o", str(program), "."]
        how = "needs Go and a module proxy that it reaches"
        with alone("pubsub-emulator"):
            requires_success("Pub/Sub emulator", command, how, cwd=source)
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()

    def stop(self) -> None:
        self._process.communicate()  # closes its stdin
