"""CPU, GPU and memory over time on the page of a run."""

from __future__ import annotations

from itertools import pairwise
from urllib.parse import urlencode

import pytest
import ui_answers
from components import requires
from ui_server import Site, cells

requires("playwright", "pip install playwright")

from playwright.sync_api import Page, expect  # noqa: E402

RUN = ui_answers.run()
ROUTE = f"/dags/{RUN['dag_id']}/runs/{RUN['run_id']}"
HARDWARE = f"{ROUTE}/hardware"
ADDRESS = "run.html?" + urlencode({"dag_id": RUN["dag_id"], "run_id": RUN["run_id"]})
NONE = "\N{EN DASH}"


def drawn(page: Page) -> dict:
    """Return titles of the panels and ids of the lines in the chart."""
    page.wait_for_selector("#hardware canvas")
    return page.evaluate(
        # What an earlier drawing had more of leaves nulls behind.
        "(() => { const all = echarts.getInstanceByDom(document.getElementById('hardware')).getOption();"
        "const option = name => all[name].filter(Boolean);"
        "return {panels: option('title').map(t => t.text), lines: option('series').map(s => s.id),"
        "grids: option('grid').length, axis: option('xAxis').at(-1).name,"
        "largest: option('yAxis').map(a => a.max)}; })()"
    )


def test_each_stage_is_a_line_in_each_panel_that_it_has_numbers_for(watched):
    page = watched.open(ADDRESS)
    found = drawn(page)
    assert found["panels"] == ["CPU cores busy", "CPU of the host", "Memory", "GPU", "GPU memory"]
    assert found["axis"] == "since the run began"
    assert [line for line in found["lines"] if line.startswith("gpu")] == [
        "gpu_utilisation of inference",
        "gpu_memory_bytes of inference",
    ]
    assert len(found["lines"]) == 3 * 3 + 2
    assert page.locator("#hardware-legend li").all_inner_texts() == ["ingest", "preprocess", "inference"]
    expect(page.locator("#hardware-note")).to_contain_text(
        "inference [0] came nearest to its memory limit: 700 MiB of 8 GiB, 8.5 %."
    )


def test_the_numbers_stand_in_a_table_too(watched):
    page = watched.open(ADDRESS)
    drawn(page)
    assert cells(page, "hardware-table")[2] == [
        "inference",
        "1",
        "1.2 cores",
        "60 %",
        "700 MiB",
        "55 %",
        "5.1 GiB",
    ]
    assert cells(page, "hardware-table")[0][-2:] == [NONE, NONE]


def test_one_task_is_shown_when_it_is_chosen(watched, site: Site):
    site.answer(f"{HARDWARE}?task_id=inference&map_index=0", ui_answers.task_hardware())
    page = watched.open(ADDRESS)
    drawn(page)
    page.locator("#hardware-task").select_option(label="inference [0]")
    expect(page.locator("#hardware-table tbody tr")).to_have_count(1)
    found = drawn(page)
    assert found["panels"] == ["CPU cores busy", "CPU of the host", "Memory"]
    assert (found["grids"], found["axis"]) == (3, "since the task began")
    assert found["largest"][1:] == [1, 768 * 2**20]  # all of the host, and round numbers of bytes
    page.locator("#hardware-task").select_option(label="all 3 tasks")
    expect(page.locator("#hardware-table tbody tr")).to_have_count(3)


def test_five_hundred_shards_are_a_line_and_a_choice_each(watched, site: Site):
    site.answer(ROUTE, ui_answers.mapped_run(500))
    site.answer(HARDWARE, ui_answers.hardware(500))
    page = watched.open(ADDRESS)
    assert len(drawn(page)["lines"]) == 11
    assert page.locator("#hardware-task option").count() == 503
    assert cells(page, "hardware-table")[2][:3] == ["inference", "500", "600 cores"]


def test_the_tab_of_a_task_asks_for_that_task(watched, site: Site):
    site.answer(f"{HARDWARE}?task_id=inference&map_index=0", ui_answers.task_hardware())
    page = watched.open(ADDRESS + "&task_id=inference&map_index=0")
    assert drawn(page)["axis"] == "since the task began"
    expect(page.locator("#hardware-choice")).to_be_hidden()


@pytest.mark.parametrize("status", [404, 500])
def test_without_samples_the_page_goes_without(watched, site: Site, status: int):
    site.answer(HARDWARE, {"detail": "no"}, status)
    page = watched.open_whole(ADDRESS)
    page.wait_for_selector("#timeline canvas")
    expect(page.locator("#hardware-section")).to_be_hidden()
    expect(page.locator("#message")).to_be_hidden()


def test_a_run_that_sampled_nothing_shows_no_empty_chart(watched, site: Site):
    site.answer(HARDWARE, ui_answers.hardware() | {"curves": [], "tasks": [], "fullest": None})
    page = watched.open_whole(ADDRESS)
    page.wait_for_selector("#timeline canvas")
    expect(page.locator("#hardware-section")).to_be_hidden()


def test_samples_are_asked_for_when_a_task_has_ended(watched, site: Site):
    site.answer(ROUTE, RUN | {"state": "running", "tasks": RUN["tasks"][:1]})
    site.answer(HARDWARE, ui_answers.hardware() | {"curves": [], "tasks": [], "fullest": None})
    page = watched.open_whole(ADDRESS)
    site.answer(ROUTE, RUN | {"state": "running", "tasks": RUN["tasks"][:1], "results": 1})
    expect(page.locator("#facts")).to_contain_text("Results1")
    assert sum("/api/" in asked and asked.endswith("/hardware") for asked in site.asked) == 1
    site.answer(HARDWARE, ui_answers.hardware())
    site.answer(ROUTE, RUN)
    expect(page.locator("#hardware canvas")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1920])
@pytest.mark.parametrize("watched", ["light", "dark"], indirect=True)
def test_the_panels_fit_the_page(watched, width: int):
    watched.page.set_viewport_size({"width": width, "height": 800})
    page = watched.open(ADDRESS)
    drawn(page)
    assert watched.overflow() <= 0
    boxes = page.evaluate(
        "echarts.getInstanceByDom(document.getElementById('hardware')).getModel().getComponent('grid') &&"
        "[0, 1, 2, 3, 4].map(i => { const c = echarts.getInstanceByDom(document.getElementById('hardware'));"
        "const r = c.getModel().getComponent('grid', i).coordinateSystem.getRect();"
        "return [r.x, r.y, r.width, r.height, c.getWidth(), c.getHeight()]; })"
    )
    for (_, top, _, height, _, _), (_, below, *_) in pairwise(boxes):
        assert top + height < below
    left, _, drawn_width, _, whole, _ = boxes[0]
    assert drawn_width > 0.7 * whole
    assert left + drawn_width < whole
