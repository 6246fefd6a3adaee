"""The page of one run."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
import ui_answers
from components import requires
from ui_server import Site, cells

requires("playwright", "pip install playwright")

from playwright.sync_api import Page, expect  # noqa: E402

RUN = ui_answers.run()
ROUTE = f"/dags/{RUN['dag_id']}/runs/{RUN['run_id']}"
ADDRESS = "run.html?" + urlencode({"dag_id": RUN["dag_id"], "run_id": RUN["run_id"]})


def fact(page: Page, name: str) -> str:
    return page.locator("#facts div", has=page.get_by_text(name, exact=True)).locator("dd").inner_text()


def drawn(page: Page, chart: str) -> dict:
    """Return a chart's data by series."""
    return page.evaluate(
        "id => Object.fromEntries(echarts.getInstanceByDom(document.getElementById(id)).getOption().series"
        ".map(s => [s.id, s.data.map(d => d?.value ?? d)]))",
        chart,
    )


def test_numbers_are_those_of_the_answer(watched):
    page = watched.open(ADDRESS)
    assert [fact(page, name) for name in ("State", "Wall time", "Records in", "Results", "Quarantined")] == [
        "success", "31.4 s", "2,000", "1,990", "10",
    ]  # fmt: skip
    rows = {row[0]: row[1:] for row in cells(page, "stages-table")}
    assert list(rows) == ["ingest", "preprocess", "inference bottleneck", "postprocess"]
    assert rows["inference bottleneck"] == [
        "18.2 s", "65 %", "1", "1,990", "109/s", "0", "32", "50 MiB", "1.2 MiB", "400 ms", "1.25 s",
        "730 ms", "13.8 s", "2.73 s", "910 ms", "62 %", "41 %", "700 MiB",
    ]  # fmt: skip
    assert (
        page.locator("#bottleneck").inner_text() == "Bottleneck: inference, 18.2 s, 65 % of the stages' time."
    )
    assert cells(page, "quarantine-table") == [
        ["preprocess", "ImageDecodeError", "8"], ["preprocess", "RecordTooLargeError", "2"],
    ]  # fmt: skip
    assert drawn(page, "stages")["stages"] == [2.41, 6.32, 18.2, 1.23]


def test_timeline_splits_each_task(watched):
    page = watched.open(ADDRESS)
    series = drawn(page, "timeline")
    assert series["offset"] == [0, 4, 11.9, 31.7]
    for index, task in enumerate(RUN["tasks"]):
        assert {part["name"]: series[part["name"]][index] for part in task["segments"]} == {
            part["name"]: part["seconds"] for part in task["segments"]
        }
    legend = page.locator("#timeline-legend li").all_inner_texts()
    assert legend == ["Scheduled", "Queued", "Start-up", "Model load", "Reading", "Computing", "Writing"]
    page.locator("#timeline-details summary").press("Enter")
    expect(page.locator("#timeline-table tbody tr")).to_have_count(4)
    assert [row[0] for row in cells(page, "timeline-table")] == [
        "ingest",
        "preprocess",
        "inference [0]",
        "postprocess",
    ]


def test_a_task_that_ran_several_stages_has_a_row_for_each(watched, site: Site):
    tasks = [
        RUN["tasks"][0] | {"task_id": "stream"},
        RUN["tasks"][1] | {"task_id": "stream"},
        RUN["tasks"][3],
    ]
    tasks[2] = tasks[2] | {"segments": [], "started_at": None, "queued_at": None, "scheduled_at": None}
    site.answer(ROUTE, RUN | {"tasks": tasks, "mode": "streaming"})
    page = watched.open(ADDRESS)
    labels = page.evaluate(
        "echarts.getInstanceByDom(document.getElementById('timeline')).getOption().yAxis[0].data"
    )
    assert labels == ["stream: ingest", "stream: preprocess", "postprocess"]
    assert drawn(page, "timeline")["offset"] == [0, 4, 0]


def test_streaming_stages_are_compared_by_their_busy_times(watched, site: Site):
    site.answer(ROUTE, RUN | {"mode": "streaming"})
    page = watched.open(ADDRESS)
    assert "Busy time" in page.locator("#stages-title").inner_text()
    assert drawn(page, "stages")["stages"] == [stage["busy_s"] for stage in RUN["stages"]]


def test_one_task_of_the_run_is_highlighted(watched, site: Site):
    site.answer(ROUTE, RUN | {"tasks": [RUN["tasks"][2]]})
    page = watched.open(ADDRESS + "&task_id=inference&map_index=0")
    assert page.locator("h1").inner_text() == "inference [0] in image_classification"
    opacity = page.evaluate(
        "echarts.getInstanceByDom(document.getElementById('stages')).getOption().series[0]"
        ".data.map(d => d.itemStyle.opacity)"
    )
    assert opacity == [0.35, 0.35, 1, 0.35]
    assert any("task_id=inference&map_index=0" in asked for asked in site.asked)
    expect(page.get_by_role("link", name="Whole run")).to_be_visible()


def test_an_index_that_airflow_left_open_is_not_sent(watched, site: Site):
    watched.open(ADDRESS + "&task_id=ingest&map_index={MAP_INDEX}")
    assert not any("map_index" in asked for asked in site.asked if "/api/" in asked)


def test_downloads_and_links_lie_under_the_base_path(watched):
    page = watched.open(ADDRESS)
    hrefs = {link.inner_text(): link.get_attribute("href") for link in page.locator("#links a").all()}
    run = "/prefix/aiopt/api/dags/image_classification/runs/manual__2026-06-15T10%3A00%3A00%2B00%3A00"
    assert hrefs["Download CSV"] == f"{run}.csv"
    assert hrefs["Download JSON"] == run
    assert hrefs["Run in Airflow"].startswith("/prefix/dags/image_classification/runs/manual__2026")


def test_five_hundred_shards_are_grouped_and_all_reachable(watched, site: Site):
    site.answer(ROUTE, ui_answers.mapped_run(500))
    page = watched.open(ADDRESS)
    page.wait_for_selector("#timeline canvas")
    assert len(drawn(page, "timeline")["computing"]) == 1 + 4 + 1
    expect(page.locator("#timeline-note")).to_contain_text("502 tasks")
    page.locator("#timeline-view").select_option("all")
    assert len(drawn(page, "timeline")["computing"]) == 502
    window = page.evaluate(
        "echarts.getInstanceByDom(document.getElementById('timeline')).getOption().dataZoom[0]"
    )
    assert (window["startValue"], window["endValue"]) == (0, 29)
    page.locator("#timeline-details summary").click()
    expect(page.locator("#timeline-table tbody tr")).to_have_count(502)


def test_the_rows_in_view_stay_while_the_run_goes_on(watched, site: Site):
    answer = ui_answers.mapped_run(100) | {"state": "running"}
    site.answer(ROUTE, answer)
    page = watched.open(ADDRESS)
    page.locator("#timeline-view").select_option("all")
    chart = "echarts.getInstanceByDom(document.getElementById('timeline'))"
    page.evaluate(
        chart + ".dispatchAction({type: 'dataZoom', dataZoomIndex: 0, startValue: 60, endValue: 80})"
    )
    site.answer(ROUTE, answer | {"results": 7, "state": "success"})
    expect(page.locator("#live")).to_be_hidden()
    assert fact(page, "Results") == "7"
    assert page.evaluate(chart + ".getOption().dataZoom[0].startValue") == 60
    assert page.evaluate(chart + ".getOption().xAxis[0].min") > 30  # the axis follows the rows in view


def test_markup_in_names_stays_text(watched, site: Site):
    evil = '<script>window.hit=1</script><img src=x onerror="window.hit=1">'
    stages = [ui_answers.stage(evil, 2.0, 1.0, bottleneck=True)]
    tasks = [ui_answers.task(evil, 1.5, 2.0, host=evil, shard=evil)]
    quarantine = [{"stage": evil, "error": evil, "count": 1}]
    advice = [{"title": evil, "text": evil}]
    lists = {"stages": stages, "tasks": tasks, "quarantine": quarantine, "advice": advice, "notes": [evil]}
    site.answer(ROUTE, RUN | lists | {"pipeline": evil})
    page = watched.open(ADDRESS)
    for chart in ("stages", "timeline"):
        box = page.locator(f"#{chart}").bounding_box()
        page.locator(f"#{chart}").scroll_into_view_if_needed()
        page.locator(f"#{chart} canvas").first.hover(position={"x": box["width"] / 2, "y": 18}, force=True)
    expect(page.locator(".tip").first).to_contain_text("<script>")
    assert cells(page, "quarantine-table")[0][1] == evil
    assert page.locator("main script, main img").count() == 0
    assert page.evaluate("window.hit") is None


def test_a_running_run_is_followed_until_it_ends(watched, site: Site):
    site.answer(
        ROUTE, RUN | {"state": "running", "ended_at": None, "wall_s": 12.0, "stages": RUN["stages"][:2]}
    )
    page = watched.open(ADDRESS)
    assert fact(page, "Wall time so far") == "12 s"
    expect(page.locator("#live")).to_be_visible()
    page.locator("#csv").focus()
    page.locator("#timeline-details summary").click()
    page.locator("#csv").focus()
    page.evaluate("scrollTo(0, 200)")
    site.answer(ROUTE, RUN)
    expect(page.locator("#stages-table tbody tr")).to_have_count(4)
    assert fact(page, "Wall time") == "31.4 s"
    assert page.evaluate("document.activeElement.id") == "csv"
    assert page.evaluate("scrollY") == 200
    assert page.locator("#timeline-details").get_attribute("open") is not None
    expect(page.locator("#live")).to_be_hidden()
    asked = len(site.asked)
    page.wait_for_timeout(2500)
    assert len(site.asked) == asked


def test_nothing_is_asked_while_the_page_is_hidden(watched, site: Site):
    site.answer(ROUTE, RUN | {"state": "running"})
    page = watched.open(ADDRESS)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.wait_for_timeout(2500)  # a request that was under way has ended
    asked = len(site.asked)
    page.wait_for_timeout(2500)
    assert len(site.asked) == asked
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    with page.expect_response("**/api/**"):
        pass


def test_a_server_that_comes_back_is_found_again(watched, site: Site):
    site.answer(ROUTE, {"detail": "starting"}, 503)
    page = watched.open(ADDRESS)
    expect(page.locator("#message")).to_contain_text("503")
    site.answer(ROUTE, RUN)
    expect(page.locator("#content")).to_be_visible()
    expect(page.locator("#message")).to_be_hidden()


def test_a_run_without_reports_says_so(watched, site: Site):
    empty = {
        "stages": [],
        "tasks": [],
        "quarantine": [],
        "advice": [],
        "mode": None,
        "pipeline": None,
    }
    site.answer(ROUTE, RUN | empty)
    page = watched.open(ADDRESS)
    expect(page.locator("#empty")).to_have_text("No stage has reported yet.")
    expect(page.locator("#timeline-section")).to_be_hidden()


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "not logged in"), (403, "may not read this DAG"), (404, "Not found"), (500, "could not answer")],
)
def test_an_error_is_told(watched, site: Site, status: int, said: str):
    site.answer(ROUTE, {"detail": "because <b>so</b>"}, status)
    page = watched.open(ADDRESS)
    expect(page.locator("#message")).to_contain_text(said)
    expect(page.locator("#message")).to_contain_text(f"HTTP {status}: because <b>so</b>")
    expect(page.locator("#content")).to_be_hidden()


def test_an_address_without_a_run_is_refused(watched, site: Site):
    page = watched.open("run.html")
    expect(page.locator("#message")).to_contain_text("names no run")
    assert not any("/api/" in asked for asked in site.asked)


def test_links_to_airflow_leave_the_sandboxed_frame(watched, site: Site):
    watched.page.goto(site.framed(ADDRESS.replace("&", "&amp;"), "dark"))
    frame = watched.page.frame_locator("iframe")
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    watched.page.evaluate("document.documentElement.className = 'light'")
    expect(frame.locator("html")).to_have_attribute("data-theme", "light")
    frame.get_by_role("link", name="Run in Airflow").click()
    watched.page.wait_for_url("**/prefix/dags/image_classification/runs/**")
