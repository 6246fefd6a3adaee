from __future__ import annotations

import pytest
import simpy

from airflow_provider_aiopt.simulation.processors import SharedCores


def ends(
    cores: SharedCores, jobs: list[tuple[float, float, float]], environment: simpy.Environment
) -> list[float]:
    """Return when jobs end that begin at a time with so much CPU time and a width."""
    found = [0.0] * len(jobs)

    def run(number: int, at_s: float, cpu_s: float, width: float) -> simpy.events.ProcessGenerator:
        yield environment.timeout(at_s)
        yield cores.work(cpu_s, width)
        found[number] = environment.now

    for number, job in enumerate(jobs):
        environment.process(run(number, *job))
    environment.run()
    cores.settle()
    return found


@pytest.mark.parametrize(
    ("count", "others", "jobs", "expected"),
    [
        pytest.param(2, (0.0, 0.0), [(0, 4.0, 1.0)], [4.0], id="a thread uses one core"),
        pytest.param(2, (0.0, 0.0), [(0, 4.0, 2.0)], [2.0], id="two threads use both"),
        pytest.param(2, (0.0, 0.0), [(0, 4.0, 8.0)], [2.0], id="and no more than there are"),
        pytest.param(2, (0.0, 0.0), [(0, 4.0, 1.0), (0, 4.0, 1.0)], [4.0, 4.0], id="as many jobs as cores"),
        pytest.param(
            1, (0.0, 0.0), [(0, 1.0, 1.0), (0, 3.0, 1.0)], [2.0, 4.0], id="shared until the first ends"
        ),
        pytest.param(1, (0.0, 0.0), [(0, 2.0, 1.0), (1, 2.0, 1.0)], [3.0, 4.0], id="the second comes later"),
        pytest.param(2, (0.0, 0.0), [(0, 4.0, 2.0), (0, 2.0, 2.0)], [3.0, 2.0], id="wide jobs side by side"),
        pytest.param(1, (0.0, 1.0), [(0, 2.0, 1.0)], [4.0], id="a neighbour gets the half"),
        pytest.param(4, (0.0, 1.0), [(0, 2.0, 1.0)], [2.0], id="unless there are cores for both"),
        pytest.param(2, (0.5, 0.0), [(0, 3.0, 2.0)], [2.0], id="services get what they want"),
        pytest.param(2, (0.5, 1.0), [(0, 2.0, 2.0)], [2.0], id="and neighbours a part of the rest"),
        pytest.param(1, (5.0, 0.0), [(0, 1.0, 1.0)], [10.0], id="services never take all"),
        pytest.param(2, (0.0, 0.0), [(1, 0.0, 1.0)], [1.0], id="nothing to do"),
    ],
)
def test_sharing(
    count: int, others: tuple[float, float], jobs: list[tuple[float, float, float]], expected: list[float]
) -> None:
    environment = simpy.Environment()
    cores = SharedCores(environment, count, services=others[0], neighbours=others[1])

    assert ends(cores, jobs, environment) == pytest.approx(expected)
    assert cores.busy_s == pytest.approx(sum(cpu_s for _, cpu_s, _ in jobs))


def test_without_sharing_each_job_is_alone() -> None:
    environment = simpy.Environment()
    cores = SharedCores(environment, 1, neighbours=3.0, sharing=False)

    assert ends(cores, [(0, 2.0, 1.0), (0, 2.0, 2.0)], environment) == [2.0, 1.0]
