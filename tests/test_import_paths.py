"""Import paths that plugins written for earlier versions use."""

from __future__ import annotations

import importlib

import pytest

PATHS = {
    "usbench.weights": ["read_state", "load_strictly", "fit_prefix", "file_sha256", "require"],
    "usbench.checking": ["check_encoder", "Report", "Finding"],
    "usbench.shifts": ["parse_shifts"],
    "usbench.media": ["RandomFrames", "AllFrames", "LinspaceFrames", "parse_policy", "open_media", "to_grey"],
    "usbench.media.phantom": ["build_eye_phantom", "build_lung_phantom"],
    "usbench.encoder": ["Encoder", "EncoderCard", "WeightsSource", "Readiness", "grey_to_tensor", "Frame", "Vectors"],
    "usbench.task": ["Task", "SplitPlan"],
    "usbench.results": ["Result", "Results", "load", "save", "Estimate"],
    "usbench": ["run", "load_encoder", "load_task", "load_dataset", "Dataset", "Encoder", "Result", "Task"],
}


@pytest.mark.parametrize(("module", "name"), [(m, n) for m, names in PATHS.items() for n in names])
def test_a_name_is_found_where_plugins_import_it(module: str, name: str) -> None:
    assert getattr(importlib.import_module(module), name) is not None


def test_an_unknown_name_is_an_error_there_too() -> None:
    for module in ("usbench.weights", "usbench.media", "usbench.encoder"):
        with pytest.raises(AttributeError):
            assert importlib.import_module(module).no_such_name
