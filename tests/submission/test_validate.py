import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from usbench.cli import main
from usbench.errors import ResultError
from usbench.results import schema as results_module
from usbench.results.diff import diff
from usbench.results.schema import Result, load, save
from usbench.submission.validate import schema, validate, validate_folder

MakeResult = Callable[..., Result]


@pytest.fixture
def path(tmp_path: Path, make_result: MakeResult) -> Path:
    return save(tmp_path / "results", make_result("a", repeats=1))


def tamper(path: Path, change: Callable[[dict[str, Any]], None], reseal: bool = False) -> None:
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    if reseal:
        path.write_text(Result.from_dict(data).to_json(), "utf-8")


def flip_class(data: dict[str, Any]) -> None:
    predicted = data["protocols"]["svc-nested@1"]["repeats"][0]["predicted"]
    predicted[3] = "1" if predicted[3] == "0" else "0"


def nudge_score(data: dict[str, Any]) -> None:
    data["protocols"]["svc-nested@1"]["repeats"][0]["score"][3] += 1e-6


def flip_score(data: dict[str, Any]) -> None:
    score = data["protocols"]["svc-nested@1"]["repeats"][0]["score"]
    score[3] = -5.0 if score[3] > 0 else 5.0


def better_metric(data: dict[str, Any]) -> None:
    data["protocols"]["svc-nested@1"]["metrics"]["accuracy"]["value"] += 0.01


def relabel(data: dict[str, Any]) -> None:
    data["units"]["target"][0] = "1" if data["units"]["target"][0] == "0" else "0"


def one_fold_too_many(data: dict[str, Any]) -> None:
    data["units"]["subject"][1] = data["units"]["subject"][0]
    fold = data["protocols"]["svc-nested@1"]["repeats"][0]["fold"]
    fold[1] = (fold[0] + 1) % 5


def test_an_untouched_result_is_valid(path: Path) -> None:
    assert validate(path, path.parents[1]) == []


@pytest.mark.parametrize("change", [flip_class, nudge_score, flip_score, better_metric, relabel])
def test_any_edit_by_hand_breaks_the_seal(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    tamper(path, change)
    assert "digest" in {finding.where for finding in validate(path)}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (flip_class, "svc-nested@1, accuracy, value"),
        (flip_score, "svc-nested@1, auc, value"),
        (better_metric, "svc-nested@1, accuracy, value"),
        (relabel, "dataset/counts/classes/0"),
    ],
)
def test_an_edit_is_found_in_the_figures_even_with_a_new_seal(
    path: Path, change: Callable[[dict[str, Any]], None], part: str
) -> None:
    tamper(path, change, reseal=True)
    where = [finding.where for finding in validate(path)]
    assert "digest" not in where
    assert part in where


def test_a_subject_in_two_folds_is_found(path: Path) -> None:
    def both(data: dict[str, Any]) -> None:
        one_fold_too_many(data)
        data["dataset"]["counts"]["subjects"] -= 1

    tamper(path, both, reseal=True)
    assert any("in two folds" in finding.what for finding in validate(path))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: d.pop("units"), "file"),
        (lambda d: d["leakage"].update(state="surely clean"), "leakage/state"),
        (lambda d: d["units"]["id"].__setitem__(1, d["units"]["id"][0]), "units/id"),
        (lambda d: d["units"]["subject"].pop(), "units/subject"),
        (lambda d: d.update(schema=99), "schema"),
        (lambda d: d.pop("schema"), "schema"),
    ],
)
def test_schema_violations_name_the_place(path: Path, change: Callable[[dict[str, Any]], None], where: str) -> None:
    tamper(path, change)
    assert where in {finding.where for finding in validate(path)}


def test_a_file_in_the_wrong_folder_is_found(path: Path) -> None:
    other = path.parents[1] / "breast_lesion" / path.name
    other.parent.mkdir()
    path.rename(other)
    count, findings = validate_folder(path.parents[1])
    assert count == 1
    assert [finding.where for finding in findings] == ["file"]


def test_the_command_says_what_is_wrong_and_fails(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["results", "validate", str(path)])
    assert not done.value.code
    tamper(path, flip_class, reseal=True)
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(["results", "validate", str(path.parents[1])])
    assert done.value.code == 1
    assert "accuracy" in capsys.readouterr().err


def test_regression_results_are_recomputed_too(tmp_path: Path, make_result: MakeResult) -> None:
    path = save(tmp_path / "results", make_result("a", "saturation", kind="regression"))
    assert validate(path, tmp_path / "results") == []

    def worse(data: dict[str, Any]) -> None:
        data["protocols"]["ridge-nested@1"]["repeats"][0]["score"][0] += 3.0

    tamper(path, worse, reseal=True)
    assert "ridge-nested@1, mae, value" in {finding.where for finding in validate(path)}


def test_diff_names_units_and_metrics(path: Path, make_result: MakeResult) -> None:
    before = load(path)
    tamper(path, flip_class, reseal=True)
    changes = {change.where: change for change in diff(before, load(path))}
    assert set(changes) == {"svc-nested@1, predicted"}
    assert changes["svc-nested@1, predicted"].after == before.units.id[3]
    assert diff(before, before) == []
    other = make_result("b", seed=4, repeats=1)
    wheres = {change.where for change in diff(before, other)}
    assert {"encoder.name", "svc-nested@1, accuracy", "svc-nested@1, score"} <= wheres


def test_timings_are_no_difference(make_result: MakeResult) -> None:
    a = make_result("a")
    b = replace(a, provenance={**a.provenance, "timings": {"probe_seconds": 99.0}})
    assert diff(a, b) == []


def test_older_schemas_are_migrated_step_by_step(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results_module, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(results_module, "form_faults", lambda *_, **__: [])  # no schema 3 is published
    with pytest.raises(ResultError, match="too old"):
        load(path)
    monkeypatch.setitem(
        results_module.MIGRATIONS, 1, lambda data: {**data, "schema": 2, "leakage": {"state": "clean", "detail": "v2"}}
    )
    monkeypatch.setitem(results_module.MIGRATIONS, 2, lambda data: {**data, "schema": 3})
    assert load(path).leakage["detail"] == "v2"
    with pytest.raises(SystemExit):
        main(["results", "migrate", str(path)])
    assert json.loads(path.read_text("utf-8"))["schema"] == 3
    assert "1 of 1 files rewritten" in capsys.readouterr().out


def test_the_schema_is_itself_valid_and_ships_with_the_package() -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(schema())


def test_a_round_trip_keeps_every_byte(path: Path) -> None:
    assert load(path).to_json().encode() == path.read_bytes()
