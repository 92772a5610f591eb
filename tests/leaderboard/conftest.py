"""A browser for the tests of pages, and the boards of this repository, which take long to read."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from usbench.leaderboard.board import Board, gather

LEADERBOARDS = Path(__file__).resolve().parents[2] / "leaderboards"


@pytest.fixture(scope="session")
def committed_boards() -> list[Board]:
    """All boards from the results that this repository holds; a board compares its encoders once for all tests."""
    return gather(LEADERBOARDS / "results", LEADERBOARDS / "reported")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium; skipped where there is none, unless USBENCH_REQUIRE_BROWSER says that there has to be one."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        if os.environ.get("USBENCH_REQUIRE_BROWSER"):
            pytest.fail("USBENCH_REQUIRE_BROWSER is set, but chromium or chromedriver is not installed")
        pytest.skip("no chromium and chromedriver here")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options, Service(driver)) as found:
        yield found
