"""What a wheel holds: the four packages and their data, and nothing that only this repository needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"usbench": ".", "tusa": ".", "usbench_encoders": "encoders", "usbench_tasks": "tasks"}


@pytest.fixture(scope="module")
def files() -> set[str]:
    return {str(file.distribution_path) for file in WheelBuilder(str(ROOT)).recurse_included_files()}


def test_it_holds_the_four_packages_whole_and_nothing_beside_them(files: set[str]) -> None:
    assert {path.split("/")[0] for path in files} == set(PACKAGES)
    for package, folder in PACKAGES.items():
        sources = {p.relative_to(ROOT / folder).as_posix() for p in (ROOT / folder / package).rglob("*.py")}
        assert sources
        assert sources <= files


def test_embedded_images_travel_with_their_licences_and_without_what_packed_them(files: set[str]) -> None:
    data = {path for path in files if path.startswith("usbench_tasks/data/")}
    assert {path for path in data if path.endswith(".py")} == {"usbench_tasks/data/__init__.py"}
    for subset in ("bus_bra_subset", "breast_lesions_usg"):
        assert f"usbench_tasks/data/{subset}/README.md" in data
        assert sum(path.startswith(f"usbench_tasks/data/{subset}/") and path.endswith(".png") for path in data) > 200
    recipes = {p.name for p in (ROOT / "recipes" / "subsets").glob("*.py")}
    assert recipes
    assert not recipes & {Path(path).name for path in files}
