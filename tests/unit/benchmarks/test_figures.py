from __future__ import annotations

import pytest

from benchmarks import cached, gpu, growth, memory, overhead, throughput
from benchmarks.harness import Run
from benchmarks.systems.candidates import CANDIDATES

GOAL = ("limit", "streaming_fp32", "staged_fp32", "streaming_int8", "dataloader", "daft", "ray_data")
NAMES = (*GOAL, "dataloader_tuned", "daft_tuned", "ray_data_tuned")
VERSIONS = {"onnxruntime": "1.32.0", "numpy": "2.4.6", "pillow": "13.0.0"}


def runs_of(**rates: float) -> dict[str, list[Run]]:
    return {
        name: [Run(rate, rate / 2, {"cpu_s": 1 / rate, "images": 1, "versions": VERSIONS})] * 3
        for name, rate in rates.items()
    }


@pytest.fixture
def contest() -> dict[str, list[Run]]:
    rates = (200.0, 196.0, 160.0, 392.0, 98.0, 49.0, 28.0, 140.0, 98.0, 56.0)
    return runs_of(**dict(zip(NAMES, rates, strict=True)))


def test_throughput_gives_each_median_by_name(contest):
    figures = throughput.results(contest)

    assert figures["median_images_per_s"] == {name: done[0].images_per_s for name, done in contest.items()}
    assert figures["streaming_fp32_over"]["ray_data"]["median"] == 7.0
    assert figures["whole_process_images_per_s"]["limit"]["median"] == 100.0


def test_throughput_compares_with_every_target(contest):
    met = {check.name: check.met for check in throughput.checks(contest, vnni=True)}

    assert met.pop("staged_fp32 / limit") is False
    assert set(met) == {
        "streaming_fp32 / limit",
        "streaming_fp32 / dataloader",
        "streaming_fp32 / daft",
        "streaming_fp32 / ray_data",
        "streaming_int8 / streaming_fp32",
    }
    assert all(met.values())


def test_throughput_expects_a_gain_of_int8_only_where_the_processor_has_vnni(contest):
    names = [check.name for check in throughput.checks(contest, vnni=False)]

    assert "streaming_int8 / streaming_fp32" not in names


def test_every_system_of_the_goal_takes_part():
    found = throughput.systems("model", {name: {} for name in CANDIDATES}, "/peers/python")

    assert tuple(system.name for system in found) == NAMES
    assert {system.name for system in found if system.python == "/peers/python"} == set(NAMES[4:])


def test_a_peer_that_answers_otherwise_is_found_and_another_model_is_not():
    same = {str(number): "cat" for number in range(100)}
    other = same | {"0": "dog", "1": "dog"}

    found = throughput.disagreements({"limit": same, "daft": other, "streaming_int8": other})

    assert found == {"daft": 0.98}


def test_a_peer_of_other_versions_is_found():
    reference = {"versions": VERSIONS}

    assert throughput.foreign_versions({"versions": VERSIONS | {"pyarrow": "25"}}, reference) == {}
    assert throughput.foreign_versions({"versions": VERSIONS | {"numpy": "2.0.0"}}, reference) == {
        "numpy": ("2.0.0", "2.4.6")
    }


def pair(cost: float) -> dict[str, dict[str, float]]:
    return {"accounted": {"cpu_s": cost, "seconds": cost}, "unaccounted": {"cpu_s": 1.0, "seconds": 1.0}}


def test_overhead_is_the_median_of_the_pairs_of_all_processes():
    figures = overhead.results([{"pairs": [pair(1.004)] * 12}, {"pairs": [pair(1.006)] * 8}])

    assert figures["cpu_s"]["cost"]["median"] == 1.004
    assert figures["cpu_s"]["control"]["median"] == 1.0
    assert len(figures["cpu_s"]["cost"]["values"]) == 20


@pytest.mark.parametrize(("costs", "met"), [([1.004] * 20, True), ([1.004] * 14 + [1.02] * 6, False)])
def test_overhead_is_judged_by_the_upper_end_of_its_interval(costs, met):
    (check,) = overhead.checks(overhead.results([{"pairs": [pair(cost) for cost in costs]}]))

    assert check.met is met


def test_the_cached_run_is_judged_by_inference_alone():
    runs = runs_of(inference_alone=100.0, streaming_cached=96.0, streaming_decoding=80.0)

    (check,) = cached.checks(cached.results(runs))

    assert (check.value, check.met) == (0.96, True)


def test_a_cached_run_that_decoded_is_refused():
    run = Run(1, 1, {"images": 10, "stages": {"preprocess": {"cache_hits": 9}}})

    with pytest.raises(SystemExit, match="9 of 10"):
        cached.check_hits(run)


def device_answer(bare: float, streamed: float, busy: float | None) -> dict[str, object]:
    stream = {"images_per_s": streamed, "nvml_busy_share": busy, "report_busy_share": 0.5}
    return {"bare": {"images_per_s": bare, "runtime": "onnxruntime"}, "cached": stream, "decoding": stream}


def test_the_gpu_is_judged_by_the_bare_loop_and_by_how_busy_it_was():
    figures = gpu.results({"cuda": [device_answer(1000.0, 950.0, 0.8)] * 3})

    met = {check.name: check.met for check in gpu.checks(figures)}

    assert met == {"cuda: streaming over bare": True, "cuda: device busy": False}


def test_without_nvml_nothing_is_said_of_how_busy_the_device_was():
    figures = gpu.results({"cpu": [device_answer(1000.0, 950.0, None)] * 3})

    assert [check.name for check in gpu.checks(figures)] == ["cpu: streaming over bare"]


def test_memory_compares_the_peaks_of_few_and_many():
    gib = 1024**3
    runs = {
        "2000": [Run(1, 1, {"peak_memory_bytes": gib})],
        "50000": [Run(1, 1, {"peak_memory_bytes": 1.25 * gib})],
    }

    growing, greatest = memory.checks(memory.results(runs))

    assert (growing.value, growing.met) == (1.25, False)
    assert (greatest.value, greatest.met) == (1.25, False)


def test_growth_is_judged_by_the_largest_sizes():
    answers = {str(size): [{"seconds": size / 50_000, "peak_memory_bytes": 1024**3}] for size in growth.SIZES}

    exponent, seconds, peak = growth.checks(growth.results(answers))

    assert (exponent.value, exponent.met) == (pytest.approx(1.0), True)
    assert (seconds.value, seconds.met) == (20.0, True)
    assert (peak.value, peak.met) == (1.0, True)
