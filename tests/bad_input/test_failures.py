"""What fails a whole run does so in one message that says what, where and what to do."""

from __future__ import annotations

import hashlib
import logging
import re
import shlex
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from components import requires_success
from onnx_models import Node, linear_model, model_bytes
from PIL import Image
from pipelines import CLI, SIZE, Site

from airflow_provider_aiopt.cli.main import main

Fails = Callable[[list[str]], str]
IMAGE = Image.new("RGB", (9, 9), (7, 8, 9))


class TestSource:
    def test_an_empty_folder(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments())

        assert message.startswith(f"The source {site.photos} holds no file that matches '*'")
        assert message.endswith("or set source.allow_empty to accept an empty run")

    def test_a_missing_folder(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(source__uri="/no/such/folder"))

        assert message == (
            "Cannot list /no/such/folder: No such file or directory. Check source.uri and its credentials"
        )

    def test_an_unknown_protocol(self, site: Site, fails: Fails) -> None:
        assert "No file system for gopher://x: Protocol not known" in fails(
            site.arguments(source__uri="gopher://x")
        )

    def test_a_connection_outside_airflow(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(source__connection="aws_default"))

        assert "names the Airflow connection 'aws_default', which only Airflow can look up" in message

    def test_too_many_bad_records(self, site: Site, fails: Fails) -> None:
        site.add_plain(3)
        site.add("bad.png", b"no image")
        message = fails(site.arguments(execution__max_bad_fraction=0.2))

        assert message.startswith(
            "1 of 4 records (25.0%) are in quarantine; execution.max_bad_fraction allows 20.0%."
        )
        assert f"The reasons are in {site.folder}/runs/pipeline/run/quarantine" in message
        assert not list(site.folder.rglob("results/*.parquet"))

    def test_just_few_enough_bad_records(self, site: Site) -> None:
        site.add_plain(3)
        site.add("bad.png", b"no image")

        assert len(site.run(execution__max_bad_fraction=0.25).bad) == 1


class TestSpec:
    def test_every_fault_in_one_message(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(execution__shards=0, sink__compresion="zstd"))

        assert "execution.shards: found 0 (int); input should be greater than or equal to 1" in message
        assert "sink.compresion: unknown key; did you mean 'compression'?" in message

    def test_a_missing_file(self, fails: Fails) -> None:
        assert fails(["run", "missing.yaml"]) == (
            "Cannot read the pipeline spec missing.yaml: No such file or directory"
        )


class TestModel:
    @pytest.fixture(autouse=True)
    def photo(self, site: Site) -> None:
        site.add("a.png", IMAGE)

    def test_a_missing_file(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(model__uri="/no/model.onnx"))

        assert message == "The model /no/model.onnx has no file /no/model.onnx. Correct model.uri"

    def test_a_folder_that_holds_no_model(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(model__uri=site.photos))

        assert message.startswith(
            f"The model {site.photos} is no model file (.onnx, .pt2, .pt, .ts) and no model folder: "
            "it has no model.json"
        )

    def test_a_builtin_model_that_there_is_not(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(model__uri="builtin:gpt"))

        assert message.startswith("There is no builtin model 'gpt'; there is: efficientnet-lite0-int8")

    def test_another_hash_than_the_pinned_one(self, site: Site, fails: Fails) -> None:
        digest = hashlib.sha256(site.model.read_bytes()).hexdigest()
        message = fails(site.arguments(model__sha256=f"'{'0' * 64}'"))

        assert message.startswith(
            f"The model {site.model} has the sha256 {digest}, but model.sha256 pins {'0' * 64}. The file was "
        )

    @pytest.mark.parametrize("content", [b"", b"This is no model.\n", b"\0" * 1000])
    def test_a_file_that_is_no_model(self, site: Site, fails: Fails, content: bytes) -> None:
        site.model.write_bytes(content)

        assert fails(site.arguments()).startswith(f"ONNX Runtime cannot load {site.model}: ")

    def test_another_size_than_preprocessing_makes(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(preprocess__size=16))

        assert (
            "The model takes image uint8 [?, 3, 8, 8], but preprocessing makes image uint8 [1, 3, 16, 16]"
            in message
        )
        assert "preprocess.size" in message

    def test_another_layout(self, site: Site, fails: Fails) -> None:
        message = fails(site.arguments(preprocess__layout="nhwc"))

        assert "takes image uint8 [?, 3, 8, 8], but preprocessing makes image uint8 [1, 8, 8, 3]" in message

    def test_a_model_of_something_else(self, site: Site, fails: Fails) -> None:
        linear_model(site.model, np.ones((4, 2)))

        assert "The model takes x float32 [?, 4], but preprocessing makes x float32 [1, 3, 8, 8]" in fails(
            site.arguments()
        )

    def test_a_model_that_does_not_fit_inside(self, site: Site, fails: Fails) -> None:
        site.model.write_bytes(
            model_bytes(
                [Node("MatMul", ["image", "weights"], ["y"])],
                {"image": ("float32", ["batch", 3, "height", "width"])},
                {"y": ("float32", ["batch", 3, "height", 2])},
                {"weights": np.ones((5, 2), np.float32)},
            )
        )
        message = fails(site.arguments())

        assert message.startswith("ONNX Runtime failed on a batch of image [1, 3, 8, 8]: ")
        assert "\n" not in message

    def test_labels_that_belong_to_another_model(self, site: Site, fails: Fails) -> None:
        (site.folder / "labels.txt").write_text("cat\ndog\n")
        site.model.write_bytes(
            model_bytes(
                [Node("ReduceMean", ["image"], ["y"], {"axes": [2, 3], "keepdims": 0})],
                {"image": ("float32", ["batch", 3, SIZE, SIZE])},
                {"y": ("float32", ["batch", 3])},
            )
        )
        settings = {"postprocess__kind": "classification", "model__labels": site.folder / "labels.txt"}

        assert "answers 3 classes, but its labels name 2" in fails(site.arguments(**settings))

    def test_a_device_that_there_is_not(self, site: Site, fails: Fails) -> None:
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this machine has a CUDA build of ONNX Runtime")
        message = fails(site.arguments(model__device="cuda"))

        assert "model.device is 'cuda', but this build of ONNX Runtime has only" in message
        assert "airflow-provider-aiopt[gpu]" in message

    def test_records_for_which_it_answers_nan_are_quarantined(self, site: Site) -> None:
        site.add("black.png", Image.new("RGB", (9, 9)))
        site.model.write_bytes(
            model_bytes(
                [Node("Div", ["image", "image"], ["y"])],  # 0/0 for black
                {"image": ("float32", ["batch", 3, SIZE, SIZE])},
                {"y": ("float32", ["batch", 3, SIZE, SIZE])},
            )
        )
        outcome = site.run()

        assert outcome.colour("a.png") == (1, 1, 1)
        assert outcome.bad["black.png"].stage == "inference"
        assert outcome.bad["black.png"].error_class == "NonFiniteOutputError"
        assert outcome.bad["black.png"].message == "The model answered 192 NaN or infinite values of 192"


class TestStatsd:
    def test_a_server_that_does_not_listen_costs_nothing(
        self, site: Site, capsys: pytest.CaptureFixture[str]
    ) -> None:
        site.add("a.png", IMAGE)

        assert main([*site.arguments(), "--statsd=127.0.0.1:9"]) == 0
        assert "a.png" in site.outcome().rows
        assert capsys.readouterr().err == ""

    def test_a_server_that_cannot_be_found_costs_a_warning(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.add("a.png", IMAGE)
        with caplog.at_level(logging.WARNING):
            assert main([*site.arguments(), "--statsd=no-such-host.invalid:8125"]) == 0

        assert "a.png" in site.outcome().rows
        (record,) = caplog.records
        assert re.match(
            "No metrics are sent: .* no-such-host.invalid:8125 cannot be found", record.getMessage()
        )


@pytest.mark.parametrize("site", ["staged"], indirect=True)  # streaming writes too little to fill one
class TestFullDisk:
    @pytest.fixture(autouse=True)
    def namespaces(self) -> None:
        requires_success(
            "user namespaces",
            ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
            "allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1",
        )

    @staticmethod
    def on_small_disk(site: Site, *script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script with the runs' folder on a disk of 1 MiB."""
        runs = site.folder / "runs"
        runs.mkdir(exist_ok=True)
        lines = [f"mount -t tmpfs -o size=1m tmpfs {runs}", f"cd {runs}", *script]
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", "\n".join(lines)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_one_message_and_nothing_left_over(self, site: Site) -> None:
        for number in range(4):
            site.add(f"{number}.bmp", Image.effect_noise((600, 600), 50), "BMP")
        run = shlex.join([*CLI, *site.arguments()])
        done = self.on_small_disk(site, f"{run} || echo exit code $?", "find . -type f | sort")

        message, *further = done.stderr.splitlines()
        shard = f"{site.folder}/runs/pipeline/run/ingest/00000.arrow"
        assert message.startswith(
            f"aiopt: Cannot write {shard}: No space left on device. Free some room or move"
        )
        assert further == []
        assert done.stdout.splitlines() == [
            "exit code 1",
            "./pipeline/run/ingest/listing.parquet",
            "./pipeline/run/reports/ingest-local.json",
        ]

    def test_with_more_room_the_run_goes_on(self, site: Site) -> None:
        for number in range(4):
            site.add(f"{number}.bmp", Image.effect_noise((600, 600), 50), "BMP")
        run = shlex.join([*CLI, *site.arguments(execution__shards=4)])
        done = self.on_small_disk(
            site,
            f"{run} || echo exit code $?",
            "stat -c '%n %Y' pipeline/run/ingest/0*.arrow > /dev/shm/before-$$",
            f"mount -t tmpfs -o remount,size=10m tmpfs {site.folder}/runs",
            f"{run} --json",
            "stat -c '%n %Y' pipeline/run/ingest/0*.arrow | grep -cFf /dev/shm/before-$$ >&2",
            "rm /dev/shm/before-$$",
        )
        first, _, report = done.stdout.partition("\n")

        assert first == "exit code 1"
        assert '"results": 4' in report
        assert done.stderr.splitlines()[-1] == "2"
