"""The services of ``docker-compose.yaml`` agree with each other and with the files that they are given."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from compose_env import EXAMPLE, filled, variables
from local_compose.compose_file import COMPOSE_FILE, ROOT, ComposeFileError, Service, load

from airflow_provider_aiopt.deployment.profiles import load_profile, load_settings
from airflow_provider_aiopt.get_provider_info import CONFIG

CONTENT: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text("utf-8"))
SECRETS = [name for name, value in variables(EXAMPLE.read_text("utf-8")).items() if not value]
ENVIRONMENT = variables(filled(EXAMPLE.read_text("utf-8")))
SERVICES = load(ENVIRONMENT)
AIRFLOW = {
    name: service for name, service in SERVICES.items() if "AIRFLOW__CORE__EXECUTOR" in service.environment
}
WORKERS = {name: service for name, service in AIRFLOW.items() if service.command[:2] == ("celery", "worker")}
ONCE = {name for name, service in SERVICES.items() if service.raw["restart"] == "no"}

# Where a service listens by itself, without a flag or a variable that says so.
OWN_PORTS = {
    "postgres": {5432},
    "redis": {6379},
    "api-server": {8080},
    "scheduler": {8974},
    "grafana": {3000},
}

SHARED_SECRETS = ("AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__CORE__FERNET_KEY")


def ports_of(service: Service) -> set[int]:
    """Return the ports that a service listens on in its container."""
    flags = (re.search(r"=:(\d+)$", part) for part in service.command)
    return OWN_PORTS.get(service.name, set()) | {int(flag[1]) for flag in flags if flag}


def addresses(text: str) -> Iterator[tuple[str, int]]:
    """Yield every ``SERVICE:PORT`` in a text."""
    names = "|".join(map(re.escape, SERVICES))
    for host, port in re.findall(rf"(?<![\w.-])({names}):(\d+)\b", text):
        yield host, int(port)


def provided(service: str, target: str) -> Path:
    """Return the file of this repository that a container has at the path *target*."""
    for mount in SERVICES[service].mounts:
        if mount.kind == "bind" and (target == mount.target or target.startswith(mount.target + "/")):
            return Path(mount.source + target.removeprefix(mount.target))
    raise AssertionError(f"{service} has nothing at {target}")


def flag(service: str, name: str) -> str:
    (value,) = (part.partition("=")[2] for part in SERVICES[service].command if part.startswith(f"--{name}="))
    return value


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    return SERVICES[request.param]


class TestEveryService:
    def test_sees_files_that_exist_and_cannot_change_them(self, service: Service) -> None:
        for mount in service.mounts:
            if mount.kind == "bind":
                assert Path(mount.source).exists(), mount
                assert mount.read_only, mount
            else:
                assert mount.source in CONTENT["volumes"], mount
        raw = [item for item in service.raw.get("volumes", ()) if item["type"] == "bind"]
        assert not any(item["bind"]["create_host_path"] for item in raw), "a missing file must be an error"

    def test_has_an_image_of_one_version(self, service: Service) -> None:
        name, _, tag = service.image.rpartition(":")
        own = name == "aiopt-airflow"
        assert re.fullmatch(r"local(-gpu)?" if own else r"v?\d+(\.\d+){1,2}(-\w+)?", tag), service.image
        assert ("build" in service.raw) == own

    def test_is_reached_from_this_machine_alone(self, service: Service) -> None:
        for port in service.raw.get("ports", ()):
            host, _, inside = port.rpartition(":")
            assert host.startswith("127.0.0.1:"), port
            assert int(inside) in ports_of(service), port

    def test_is_bounded_and_gets_no_more_rights(self, service: Service) -> None:
        limits = service.raw["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= limits.keys()
        assert service.raw["security_opt"] == ["no-new-privileges:true"]
        # PostgreSQL's image begins as root, to own its folder, and goes on as a user.
        assert service.raw.get("cap_drop") == (None if service.name == "postgres" else ["ALL"])
        assert not service.raw.get("privileged")

    def test_says_whether_it_is_well(self, service: Service) -> None:
        if service.name in ONCE:
            assert "healthcheck" not in service.raw
            return
        check = " ".join(service.raw["healthcheck"]["test"])
        for url in re.findall(r"http://\S+", check):
            assert urlsplit(url).port in ports_of(service), url

    def test_waits_for_what_can_be_waited_for(self, service: Service) -> None:
        for name, how in service.raw.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if name in ONCE else "service_healthy"
            assert how == {"condition": wanted}, (service.name, name)

    def test_asks_others_where_they_listen(self, service: Service) -> None:
        texts = [*service.environment.values(), *service.command]
        for host, port in (address for text in texts for address in addresses(text)):
            assert port in ports_of(SERVICES[host]), (service.name, host, port)


def test_nothing_waits_in_a_circle() -> None:
    graph = {name: service.raw.get("depends_on", {}).keys() for name, service in SERVICES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(SERVICES)


def test_each_volume_is_used() -> None:
    used = {
        mount.source for service in SERVICES.values() for mount in service.mounts if mount.kind == "volume"
    }
    assert used == CONTENT["volumes"].keys()


class TestSecrets:
    @pytest.mark.parametrize("name", SECRETS)
    @pytest.mark.parametrize("empty", [True, False])
    def test_none_has_a_default(self, name: str, empty: bool) -> None:
        without = {key: value for key, value in ENVIRONMENT.items() if key != name} | (
            {name: ""} if empty else {}
        )
        with pytest.raises(ComposeFileError, match=f"wants {name}: run make compose-env"):
            load(without)

    def test_all_come_from_the_environment(self) -> None:
        values = set(map(ENVIRONMENT.__getitem__, SECRETS))
        for service in SERVICES.values():
            for name, value in service.environment.items():
                if re.search(r"PASSWORD|SECRET|FERNET|AUTH$|CONN|BROKER_URL|RESULT_BACKEND", name):
                    assert any(secret in value for secret in values), f"{service.name}: {name}"

    def test_none_is_on_a_command_line(self) -> None:
        for service in SERVICES.values():
            check = json.dumps(service.raw.get("healthcheck"))
            for name in SECRETS:
                assert ENVIRONMENT[name] not in " ".join(service.command) + check, (service.name, name)

    def test_each_is_used(self) -> None:
        everything = json.dumps([dict(service.environment) for service in SERVICES.values()])
        for name in SECRETS:
            assert ENVIRONMENT[name] in everything, name


class TestAirflow:
    def test_all_components_share_what_they_sign_and_encrypt_with(self) -> None:
        for name in SHARED_SECRETS:
            assert len({service.environment[name] for service in AIRFLOW.values()}) == 1, name

    def test_tasks_find_the_execution_api(self) -> None:
        (url,) = {
            service.environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] for service in AIRFLOW.values()
        }
        parts = urlsplit(url)
        assert parts.hostname == "api-server"
        assert parts.port in ports_of(SERVICES["api-server"])
        assert parts.path == "/execution/"

    def test_every_queue_has_a_worker_and_every_worker_a_queue(self) -> None:
        served = [service.command[service.command.index("--queues") + 1] for service in WORKERS.values()]
        gpu_queue = SERVICES["scheduler"].environment["AIRFLOW__AIOPT__GPU_QUEUE"]
        assert sorted(served) == sorted([core_options()["operators"]["default_queue"]["default"], gpu_queue])

    def test_gpus_are_those_of_the_pool(self) -> None:
        gpus = load(ENVIRONMENT | {"AIOPT_GPUS": "3"})
        worker = gpus["worker-gpu"]
        (device,) = worker.raw["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": "3", "capabilities": ["gpu"]}
        assert worker.command[-2:] == ("--concurrency", "3")
        assert {gpus[name].environment["AIRFLOW__AIOPT__GPU_POOL_SLOTS"] for name in AIRFLOW} == {"3"}
        assert worker.profiles == ("gpu",)
        assert SERVICES["worker"].environment["AIRFLOW__AIOPT__GPU_POOL_SLOTS"] == "0"

    @pytest.mark.parametrize("name", AIRFLOW)
    def test_the_profile_is_applied(self, name: str) -> None:
        for item in load_profile("low-latency").settings:
            assert item.accepts(AIRFLOW[name].environment.get(item.setting.variable)), item.setting.label

    def test_every_setting_is_one(self) -> None:
        known = {section: set(options) for section, options in core_options().items()}
        known["aiopt"] = set(CONFIG["aiopt"]["options"])
        for setting in load_settings().values():
            known.setdefault(setting.section, set()).add(setting.key)
        for section, options in celery_options().items():
            known.setdefault(section, set()).update(options)
        for service in AIRFLOW.values():
            for name in service.environment:
                if name.startswith("AIRFLOW__"):
                    _, section, option = name.lower().split("__")
                    assert option in known[section], name

    def test_all_that_tasks_share_lies_in_the_volume(self) -> None:
        (work,) = (mount.target for mount in SERVICES["worker"].mounts if mount.source == "aiopt-work")
        for option in ("WORK_DIR", "MODEL_DIR", "UPLOADS_URI"):
            assert SERVICES["worker"].environment[f"AIRFLOW__AIOPT__{option}"].startswith(f"{work}/")
        assert len({tuple(service.mounts) for service in AIRFLOW.values()}) == 1

    def test_the_setup_logs_in_as_the_user_who_was_made(self) -> None:
        made, used = SERVICES["airflow-init"].environment, SERVICES["airflow-setup"].environment
        assert made["ADMIN_USER"] == used["AIOPT_AIRFLOW_USERNAME"]
        assert made["ADMIN_PASSWORD"] == used["AIOPT_AIRFLOW_PASSWORD"]


class TestMonitoring:
    mapping: Any = yaml.safe_load(
        provided("statsd-exporter", flag("statsd-exporter", "statsd.mapping-config")).read_text("utf-8")
    )
    prometheus: Any = yaml.safe_load(
        provided("prometheus", flag("prometheus", "config.file")).read_text("utf-8")
    )

    def rules(self) -> Iterator[Any]:
        for pattern in self.prometheus["rule_files"]:
            found = list(provided("prometheus", flag("prometheus", "config.file")).parent.glob(pattern))
            assert found, pattern
            for path in found:
                for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
                    yield from group["rules"]

    def test_airflow_sends_to_the_exporter_what_its_mapping_knows(self) -> None:
        for service in AIRFLOW.values():
            env = service.environment
            assert env["AIRFLOW__METRICS__STATSD_ON"] == "true"
            assert env["AIRFLOW__METRICS__STATSD_HOST"] == "statsd-exporter"
            assert f":{env['AIRFLOW__METRICS__STATSD_PORT']}" == flag("statsd-exporter", "statsd.listen-udp")
            prefix = env["AIRFLOW__METRICS__STATSD_PREFIX"] + "."
            assert all(entry["match"].startswith(prefix) for entry in self.mapping["mappings"])

    def test_prometheus_scrapes_the_exporter_under_the_name_that_the_alert_knows(self) -> None:
        jobs = {job["job_name"]: job["static_configs"] for job in self.prometheus["scrape_configs"]}
        (targets,) = (item["targets"] for item in jobs["statsd-exporter"])
        port = flag("statsd-exporter", "web.listen-address")
        assert targets == [f"statsd-exporter{port}"]
        asked = {job for rule in self.rules() for job in re.findall(r'up\{job="(.*?)"', rule["expr"])}
        assert asked == {"statsd-exporter"}

    def test_prometheus_tells_alertmanager(self) -> None:
        (managers,) = self.prometheus["alerting"]["alertmanagers"]
        (static,) = managers["static_configs"]
        assert static["targets"] == [f"alertmanager{flag('alertmanager', 'web.listen-address')}"]
        assert provided("alertmanager", flag("alertmanager", "config.file")).is_file()

    def test_rules_and_dashboard_ask_for_metrics_that_the_mapping_makes(self) -> None:
        made = set()
        for entry in self.mapping["mappings"]:
            suffixes = ("_bucket", "_sum", "_count") if "observer_type" in entry else ("",)
            made |= {entry["name"] + suffix for suffix in suffixes}
        dashboards = provided("grafana", self.dashboard_provider()["options"]["path"])
        texts = [rule["expr"] for rule in self.rules()] + [
            path.read_text("utf-8") for path in dashboards.glob("*.json")
        ]
        asked = {name for text in texts for name in re.findall(r"\bai_pipeline_\w+", text)}
        assert len(asked) > 15
        assert asked <= made

    def dashboard_provider(self) -> Any:
        path = provided("grafana", "/etc/grafana/provisioning/dashboards/aiopt.yaml")
        (provider,) = yaml.safe_load(path.read_text("utf-8"))["providers"]
        return provider

    def test_grafana_finds_prometheus_and_the_dashboard_its_data_source(self) -> None:
        path = provided("grafana", "/etc/grafana/provisioning/datasources/prometheus.yaml")
        (source,) = yaml.safe_load(path.read_text("utf-8"))["datasources"]
        name = re.fullmatch(r"\$\{(\w+)\}", source["url"])
        assert name is not None
        address = f"prometheus{flag('prometheus', 'web.listen-address')}"
        assert SERVICES["grafana"].environment[name[1]] == f"http://{address}"
        assert source["jsonData"]["timeInterval"] == self.prometheus["global"]["scrape_interval"]

        (dashboard,) = provided("grafana", self.dashboard_provider()["options"]["path"]).glob("*.json")
        content = json.loads(dashboard.read_text("utf-8"))
        chosen = next(item for item in content["templating"]["list"] if item["name"] == "datasource")
        assert chosen["query"] == source["type"], "the variable offers data sources of this type"
        assert source["isDefault"]
        uids = set(re.findall(r'"uid": "(.*?)"', dashboard.read_text("utf-8")))
        assert uids <= {"${datasource}", source["uid"], content["uid"]}


def core_options() -> Any:
    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    content = yaml.safe_load((folder / "config_templates" / "config.yml").read_text("utf-8"))
    return {section: values["options"] for section, values in content.items()}


def celery_options() -> Any:
    from airflow.providers.celery.get_provider_info import get_provider_info

    return {section: values["options"] for section, values in get_provider_info()["config"].items()}


def test_the_example_names_every_variable_that_has_no_default() -> None:
    text = COMPOSE_FILE.read_text("utf-8")
    wanted = set(re.findall(r"\$\{(\w+):\?", text))
    assert wanted == set(SECRETS)
    named = set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text("utf-8"), re.MULTILINE))
    assert named - {"COMPOSE_PROFILES"} <= set(re.findall(r"\$\{(\w+)", text)), "each has an effect"
    assert ROOT.joinpath(".gitignore").read_text("utf-8").splitlines().count(".env") == 1
