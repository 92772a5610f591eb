import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image

import usbench
from usbench.errors import UsbenchError
from usbench.leaderboard import render
from usbench.leaderboard.html import render_site, write_site
from usbench.results.schema import Result, save

MakeResult = Callable[..., Result]
REPORTED = Path(__file__).resolve().parents[2] / "leaderboards" / "reported"


@pytest.fixture(scope="module")
def site(session_board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(session_board / "results", folder, REPORTED)
    return folder


class Page(HTMLParser):
    """Links, ids and the nesting of a page."""

    VOID = frozenset(("meta", "link", "input", "br", "rect", "line", "circle", "path"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [str(found[key]) for key in ("href", "src") if found.get(key)]
        self.ids += [str(found["id"])] if found.get("id") else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")


def test_every_link_leads_somewhere_and_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 10
    for path, page in pages.items():
        assert page.wrong == []
        assert page.open == []
        assert len(page.ids) == len(set(page.ids)), path
        for link in page.links:
            target, _, anchor = link.partition("#")
            if target.startswith(("http:", "https:", "data:")):
                continue
            file = (path.parent / unquote(target)).resolve() if target else path
            assert file.is_file(), f"{path.name}: {link}"
            assert not anchor or anchor in pages[file].ids, f"{path.name}: {link}"
        loaded = re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="(https?:[^"]*)"', path.read_text("utf-8"))
        assert loaded == []


def test_pages_of_every_board_and_encoder_exist(site: Path) -> None:
    for name in ("boards/covid.html", "boards/breast_lesion.on.bus-bra-subset.html", "encoders/tusa.random.html"):
        assert (site / name).is_file()
    assert "75.1" in (site / "boards/covid.html").read_text("utf-8")
    assert "Simulated images, not patients" in (site / "boards/eye_hemorrhage.on.phantom-eye.html").read_text("utf-8")


def test_the_first_page_begins_with_figures_and_folds_away_what_has_none(site: Path) -> None:
    index = (site / "index.html").read_text("utf-8")
    content = index.split('<main id="content"')[1]
    before = re.sub(r"<[^>]+>", " ", content.split("<tbody>")[0].split("<thead>")[0])
    assert len(before.split()) < 40  # a heading, a sentence and a caption: the first number is on the first screen
    cards, folded = content.split('<details class="waiting">')
    assert "boards/covid.html" in cards
    assert "boards/spinal_hematoma.html" not in cards
    assert "boards/spinal_hematoma.html" in folded.split("</details>")[0]
    menu = re.findall(r'<li><a href="boards/([^"]+)"', index.split("</nav>")[0])
    assert menu.index("breast_lesion.on.bus-bra-subset.html") < menu.index("spinal_hematoma.html")


def test_the_site_is_the_same_every_time(session_board: Path) -> None:
    results = session_board / "results"
    assert render_site(results, REPORTED) == render_site(results, REPORTED)


def test_names_from_results_are_escaped(tmp_path: Path, make_result: MakeResult) -> None:
    save(tmp_path, make_result("evil", title="<img src=x onerror=alert(1)>", url="https://example.org/?a=1&b=2"))
    for name, text in render_site(tmp_path, REPORTED).items():
        if name.endswith(".html"):
            assert "<img" not in text


def test_what_diagnostics_found_is_told_as_on_the_markdown_page(tmp_path: Path) -> None:
    shutil.copytree(REPORTED.parent / "results" / "covid", tmp_path / "covid")  # the one board that is looked at
    markdown, page = render(tmp_path, REPORTED)["covid.md"], render_site(tmp_path, REPORTED)["boards/covid.html"]
    for heading in ("By stratum", "How far to trust these scores"):
        assert f"## {heading}\n" in markdown
        assert f">{heading}</h2>" in page
        section = markdown.split(f"## {heading}\n")[1].split("\n## ")[0]
        figures = re.findall(r"\d\.\d{3}", section)
        assert len(figures) > 10
        assert all(figure in page for figure in figures)


# In a browser ------------------------------------------------------------------------------------------------


def names(browser: Any, table: str) -> list[str]:
    script = (
        "return [...document.querySelectorAll(`#${arguments[0]} tbody tr:not(.rule)`)]"
        ".filter(r => r.offsetParent !== null).map(r => r.cells[0].innerText)"
    )
    found: list[str] = browser.execute_script(script, table)
    return found


@pytest.mark.slow
def test_pages_load_without_errors_in_light_dark_and_on_a_phone(site: Path, browser: Any) -> None:
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light")):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        for path in sorted(site.rglob("*.html")):
            browser.get(path.as_uri())
            assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
            overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert browser.execute_script(overflow) <= 0, f"{path.name} is wider than {width} px"
            ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(13, 17, 23)" if scheme == "dark" else "rgb(255, 255, 255)")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.slow
def test_tables_sort_filter_and_hide_columns(site: Path, browser: Any) -> None:
    browser.get((site / "boards" / "covid.html").as_uri())
    table = "protocol-svc-nested-1"
    start = names(browser, table)
    assert start[0] == "TUSA"
    assert len(start) == 7

    head = f"document.querySelector('#{table} th[data-key=fold_auc]')"
    browser.execute_script(f"{head}.querySelector('button').click()")
    assert browser.execute_script(f"return {head}.getAttribute('aria-sort')") == "descending"
    browser.execute_script(f"{head}.querySelector('button').click()")
    assert browser.execute_script(f"return {head}.getAttribute('aria-sort')") == "ascending"
    ascending = names(browser, table)
    assert ascending[:3] == ["MedSAM", "USFM", "TUSA"]
    assert set(ascending[3:]) == set(start[3:])  # baselines stay below the rule

    sheet = f"document.querySelector('[data-sheet={table}]')"
    browser.execute_script(f"{sheet}.querySelector('input[name=mix]').click()")
    mixed = names(browser, table)
    assert set(mixed) == set(start)
    assert mixed[-1] == "TUSA"
    assert mixed[0] == "MedSAM"
    browser.execute_script(f"{sheet}.querySelector('input[name=baselines]').click()")
    assert set(names(browser, table)) == {"TUSA", "USFM", "MedSAM"}

    from selenium.webdriver.common.by import By

    field = browser.find_element(By.CSS_SELECTOR, f"[data-sheet={table}] input[type=search]")
    field.send_keys("usf")
    assert names(browser, table) == ["USFM"]
    status = f"return document.querySelector('[data-sheet={table}] [role=status]').textContent"
    assert browser.execute_script(status) == "1 of 7 rows"
    field.clear()

    hidden = f"return {head}.hidden"
    assert browser.execute_script(hidden) is False
    browser.execute_script(f"document.querySelector('[data-sheet={table}] .columns input').click()")
    assert browser.execute_script(hidden) is True


@pytest.mark.slow
def test_everything_is_reached_by_keyboard_and_has_a_name(site: Path, browser: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.get((site / "index.html").as_uri())
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.execute_script("return document.activeElement.className") == "skip"
    seen = set()
    for _ in range(60):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        seen.add(browser.execute_script("const e = document.activeElement; return e.id || e.className || e.tagName"))
    assert {"theme", "sort", "scroll", "INPUT", "SUMMARY"} <= seen
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, a, input, [role=region], svg[role=img]')].filter(e => "
        "!(e.textContent.trim() || e.getAttribute('aria-label') || (e.labels && e.labels.length))).length"
    )
    assert unnamed == 0


@pytest.mark.slow
def test_the_theme_switch_overrules_the_system(site: Path, browser: Any) -> None:
    browser.get((site / "index.html").as_uri())
    colour = "return getComputedStyle(document.body).backgroundColor"
    before = browser.execute_script(colour)
    for _ in range(2):
        browser.execute_script("document.getElementById('theme').click()")
    assert browser.execute_script("return document.getElementById('theme').textContent") == "Theme: dark"
    assert before == "rgb(255, 255, 255)"
    assert browser.execute_script(colour) == "rgb(13, 17, 23)"
    browser.execute_script("document.getElementById('theme').click()")


@pytest.fixture(scope="module")
def lesion_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a map of real images, whose units are named as in a composed dataset."""
    from usbench.data.frame_sampling import RandomFrames
    from usbench.results.schema import save
    from usbench.task.task import SplitPlan, Task

    folder = tmp_path_factory.mktemp("lesions")
    task = Task(
        name="lesion_map",
        title="Map of lesions",
        dataset="bus-bra",
        fallback="bus-bra-subset",
        target="device",
        kind="map",
        unit="image",
        frames=RandomFrames(1, seed=0),
        split=SplitPlan("none"),
        protocols=("neighbours@1",),
    )
    for result in usbench.run(encoder=["texture", "pixels"], task=task, data="subset"):
        units = replace(result.units, id=[f"bus-bra/{unit}" for unit in result.units.id])
        save(folder / "results", replace(result, units=units))
    picture = folder / "some_textures.png"
    Image.new("L", (8, 8), 90).save(picture)
    write_site(folder / "results", folder / "site", pictures={"texture": [picture]})
    return folder / "site"


@pytest.mark.slow
def test_the_dot_under_the_pointer_is_named_shown_and_ringed_everywhere(lesion_map: Path, browser: Any) -> None:
    page = next((lesion_map / "boards").glob("lesion_map*.html"))
    browser.get(page.as_uri())
    unit, tip, shown, rings = browser.execute_script(
        """
        const figure = document.querySelector("figure[id$='-map']"), svg = figure.querySelector("svg:not(.mark)");
        const dots = JSON.parse(document.querySelector("script[data-dots]").textContent);
        const unit = 5, target = dots.targets[unit];
        const place = dots.targets.slice(0, unit).filter((other) => other === target).length;
        const path = svg.querySelector(`path[data-of="${target}"]`).getAttribute("d").split("h0")[place];
        const [x, y] = path.slice(1).split(" ").map(Number);
        const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
        svg.dispatchEvent(new PointerEvent("pointermove", { clientX: at.x, clientY: at.y, bubbles: true }));
        const tip = figure.querySelector(".tip");
        const rings = figure.querySelectorAll(".rings circle").length;
        const answer = [dots.units[unit], tip.innerText, !!tip.querySelector("img"), rings];
        svg.dispatchEvent(new PointerEvent("pointerleave"));
        if (!tip.hidden) throw new Error("the name stays");
        return answer;
        """
    )
    assert unit in tip
    assert shown
    assert rings == 2  # one in the panel of each encoder
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_a_picture_stands_on_its_encoders_page_only(lesion_map: Path, session_board: Path, tmp_path: Path) -> None:
    pages = {path.stem: path.read_text("utf-8") for path in (lesion_map / "encoders").glob("*.html")}
    assert {name for name, text in pages.items() if "Some textures" in text} == {"texture"}
    with pytest.raises(UsbenchError, match=r"'textur'.*texture"):
        write_site(session_board / "results", tmp_path, pictures={"textur": []})
