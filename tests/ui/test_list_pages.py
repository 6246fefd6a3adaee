"""The page of a DAG and the page of all pipelines, and what holds for all three."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import ui_answers
from components import requires
from ui_server import Site, cells

requires("playwright", "pip install playwright")

from playwright.sync_api import expect  # noqa: E402

TREND = ui_answers.trend()
RUN = ui_answers.run()
DAG = "dag.html?dag_id=image_classification"
PAGES = ["run.html?" + urlencode({"dag_id": RUN["dag_id"], "run_id": RUN["run_id"]}), DAG, "overview.html"]
NONE = "\N{EN DASH}"
CONTRAST = 4.5  # WCAG AA


def test_percentiles_and_regressions(watched):
    page = watched.open(DAG)
    assert cells(page, "stages-table")[2] == ["inference ▲ slower", "15 s", "16.2 s", "27.5 s", "+83 %"]
    assert [row[0] for row in cells(page, "stages-table") if "▲" in row[0]] == ["inference ▲ slower"]
    assert page.locator("#regressions").inner_text() == "Slower than usual in the last run: inference."
    assert len(cells(page, "runs-table")) == len(TREND["runs"])
    assert cells(page, "runs-table")[0][0] == TREND["runs"][-1]["run_id"]


def test_the_last_two_runs_are_compared_at_first_then_those_chosen(watched):
    page = watched.open(DAG)
    before, after = TREND["runs"][-2]["stages"]["inference"], 27.5
    assert cells(page, "compare-table")[2][:3] == ["inference", f"{before:g} s", f"{after} s"]
    page.locator("#second").select_option(TREND["runs"][0]["run_id"])
    first = TREND["runs"][0]
    assert cells(page, "compare-table")[-1][2] == f"{first['wall_s']:.1f} s"


def test_a_dag_that_never_ran_says_so(watched, site: Site):
    site.answer(
        "/dags/image_classification/trend", {"dag_id": "image_classification", "runs": [], "stages": {}}
    )
    expect(watched.open(DAG).locator("#empty")).to_have_text("No stage has reported yet.")


def test_all_pipelines(watched):
    page = watched.open("overview.html")
    assert cells(page, "pipelines-table") == [
        [
            "image_classification",
            "photos",
            "2026-06-15 10:00:00 UTC",
            "success",
            "31.4 s",
            "inference",
            "",
            "Open",
        ],
        [
            "text_embedding",
            "reviews",
            "2026-06-15 10:00:00 UTC",
            "running",
            "1 h 10 min",
            "preprocess",
            "",
            "Open",
        ],
        ["new", "new", "no run yet", NONE, NONE, NONE, NONE, "Open"],
    ]
    expect(page.locator(".sparkline canvas")).to_have_count(2)
    assert page.locator(".sparkline").first.get_attribute("aria-label") == "7 runs, from 29.5 s to 31.4 s"
    page.get_by_label("Find").fill("TEXT")
    assert [row[0] for row in cells(page, "pipelines-table")] == ["text_embedding"]
    assert page.locator("#found").inner_text() == "1 of 3 pipelines"


def test_the_focus_follows_its_row(watched, site: Site):
    page = watched.open("overview.html")
    page.get_by_role("link", name="text_embedding").focus()
    rows = ui_answers.pipelines()["pipelines"]
    site.answer("/pipelines", {"pipelines": [rows[1], rows[0], rows[2]]})
    expect(page.locator("#pipelines-table tbody th").first).to_have_text("text_embedding", timeout=20_000)
    assert page.evaluate("document.activeElement.textContent") == "text_embedding"


def test_pages_link_to_each_other(watched):
    page = watched.open("overview.html")
    page.get_by_role("link", name="2026-06-15").first.click()
    page.wait_for_url("**/prefix/aiopt/static/run.html*")
    assert parse_qs(urlsplit(page.url).query) == {"dag_id": ["image_classification"], "run_id": ["manual__1"]}
    page.get_by_role("link", name="Trend of this DAG").click()
    page.wait_for_url("**/prefix/aiopt/static/dag.html?dag_id=image_classification")


def test_no_pipeline_says_so(watched, site: Site):
    site.answer("/pipelines", {"pipelines": []})
    expect(watched.open("overview.html").locator("#empty")).to_contain_text("No stage has reported yet.")


def test_markup_in_names_stays_text(watched, site: Site):
    evil = "<img src=x onerror=window.hit=1>"
    site.answer(
        "/pipelines",
        {"pipelines": [ui_answers.pipelines()["pipelines"][0] | {"dag_id": evil, "pipeline": evil}]},
    )
    page = watched.open("overview.html")
    assert cells(page, "pipelines-table")[0][:2] == [evil, evil]
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("width", [360, 768, 1920])
def test_no_page_is_wider_than_its_window(watched, address: str, width: int):
    watched.page.set_viewport_size({"width": width, "height": 800})
    watched.open_whole(address)
    assert watched.overflow() <= 0


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("watched", ["light", "dark"], indirect=True)
def test_text_has_contrast_in_both_themes(watched, address: str):
    page = watched.open_whole(address)
    low = page.evaluate(
        """least => {
        const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
        const light = parts => parts.map(p => p / 255)
            .map(p => p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4)
            .reduce((sum, p, i) => sum + p * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = node => {
            for (let at = node; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if (!/, 0\\)$/.test(colour)) return colour;
            }
            return 'rgb(255, 255, 255)';
        };
        return [...document.querySelectorAll('body *')].filter(n => n.checkVisibility() &&
            [...n.childNodes].some(c => c.nodeType === 3 && c.data.trim())).map(n => {
            const [a, b] = [getComputedStyle(n).color, ground(n)].map(c => light(rgb(c)))
                .sort((x, y) => y - x);
            return [n.textContent, (a + 0.05) / (b + 0.05)];
        }).filter(([, ratio]) => ratio < least);
    }""",
        CONTRAST,
    )
    assert low == []


@pytest.mark.parametrize("address", PAGES)
def test_dark_is_followed_from_what_airflow_stored(watched, address: str):
    watched.page.add_init_script("localStorage.setItem('theme', 'dark')")
    page = watched.open_whole(address)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 29)"


@pytest.mark.parametrize("address", PAGES)
def test_the_keyboard_reaches_everything_and_charts_have_words(watched, address: str):
    page = watched.open_whole(address)
    reachable = page.evaluate(
        "[...document.querySelectorAll('a[href], select, input, summary, .scroll')]"
        ".filter(n => n.checkVisibility()).length"
    )
    reached = set()
    for _ in range(reachable + 2):
        page.keyboard.press("Tab")
        at = page.evaluate(
            "(() => { const n = document.activeElement; const s = getComputedStyle(n);"
            "return [[...document.querySelectorAll('*')].indexOf(n), s.outlineStyle, n.tagName]; })()"
        )
        if at[2] not in ("BODY", "HTML"):
            assert at[1] != "none", at
            reached.add(at[0])
    assert len(reached) == reachable
    for chart in page.locator("[role=img]").all():
        assert chart.get_attribute("aria-label")
