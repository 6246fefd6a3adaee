from __future__ import annotations

import pytest

from benchmarks import growth, memory, overhead, throughput
from benchmarks.harness import Run

NAMES = ("limit", "streaming_fp32", "staged_fp32", "streaming_int8", "dataloader", "daft", "ray_data")


def runs_of(**rates: float) -> dict[str, list[Run]]:
    return {name: [Run(rate, rate / 2, {"cpu_s": 1 / rate, "images": 1})] * 3 for name, rate in rates.items()}


@pytest.fixture
def contest() -> dict[str, list[Run]]:
    return runs_of(**dict(zip(NAMES, (200.0, 196.0, 160.0, 392.0, 98.0, 49.0, 28.0), strict=True)))


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
    assert tuple(system.name for system in throughput.systems("model", {})) == NAMES


def test_a_peer_that_answers_otherwise_is_found_and_another_model_is_not():
    same = {str(number): "cat" for number in range(100)}
    other = same | {"0": "dog", "1": "dog"}

    found = throughput.disagreements({"limit": same, "daft": other, "streaming_int8": other})

    assert found == {"daft": 0.98}


def test_overhead_compares_within_a_round():
    figures = overhead.results(runs_of(accounted=99.0, unaccounted=100.0))

    assert figures["throughput_ratio"]["median"] == pytest.approx(0.99)
    assert figures["cpu_ratio"]["median"] == pytest.approx(1 / 0.99)


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
