import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from usbench.cli import main
from usbench.errors import ResultError
from usbench.leaderboard import gather
from usbench.results.schema import Result, load, save
from usbench.submission.deidentify import prepare, read_secret
from usbench.submission.validate import validate

MakeResult = Callable[..., Result]
SECRET = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path, make_result: MakeResult) -> Path:
    return save(tmp_path / "results", make_result("a", repeats=2))


def test_names_of_patients_are_gone_and_every_metric_still_follows(path: Path, tmp_path: Path) -> None:
    before, prepared = load(path), prepare(path, SECRET)
    written = save(tmp_path / "out", prepared.result)
    assert not set(before.units.subject) & set(prepared.result.units.subject)
    assert not any(name in written.read_text("utf-8") for name in before.units.subject)
    assert validate(written, tmp_path / "out") == []
    for protocol, entry in before.protocols.items():
        for metric, estimate in entry.metrics.items():
            assert prepared.result.protocols[protocol].metrics[metric].value == pytest.approx(estimate.value)


def test_order_tells_nothing(path: Path) -> None:
    units = prepare(path, SECRET).result.units
    assert units.id == sorted(units.id)


def test_two_encoders_of_one_submitter_can_still_be_compared(tmp_path: Path, make_result: MakeResult) -> None:
    out = tmp_path / "out"
    for i, name in enumerate(("a", "b")):
        save(out, prepare(save(tmp_path / "results", make_result(name, seed=i)), SECRET).result)
    board = gather(out, tasks=())[0]
    assert all(entry.comparable for entry in board.entries)
    assert board.standing().comparator.difference("a", "b") is not None


def test_another_secret_gives_other_names(path: Path) -> None:
    a, b = prepare(path, SECRET).result, prepare(path, bytes(32)).result
    assert not set(a.units.id) & set(b.units.id)


def test_small_groups_and_own_data_are_named_as_risks(tmp_path: Path, make_result: MakeResult) -> None:
    result = make_result("a", provision="own")
    result.units.strata["site"] = ["rare"] * 2 + ["common"] * (len(result.units.id) - 2)
    path = save(tmp_path / "results", result)
    risks = " ".join(prepare(path, SECRET).risks)
    assert "'site'" in risks
    assert "rare" in risks
    assert "ethics" in risks
    without = prepare(path, SECRET, keep_strata=False)
    assert without.result.units.strata == {}
    assert "'site'" not in " ".join(without.risks)


def test_a_tampered_result_is_refused(path: Path) -> None:
    data = json.loads(path.read_text("utf-8"))
    data["protocols"]["svc-nested@1"]["metrics"]["accuracy"]["value"] = 0.99
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(ResultError, match="Run the task again"):
        prepare(path, SECRET)


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"
    first = read_secret(path)
    assert read_secret(path) == first
    assert len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("not hex", "ascii")
    with pytest.raises(ResultError, match="Move it away"):
        read_secret(path)


def test_the_command_tells_and_writes_only_when_told(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        main(["submit", str(path), "--out", str(tmp_path / "out"), "--yes"])
    assert not done.value.code
    told = " ".join(capsys.readouterr().out.split())
    assert "Names of 60 subjects" in told
    assert (tmp_path / "out" / "covid" / "a.json").is_file()


def test_no_path_of_the_machine_is_left(tmp_path: Path, make_result: MakeResult) -> None:
    result = make_result("a", repeats=2, n=20)
    result.dataset.update(note="read from /home/jane/secret project/labels.csv", notes=["~/data/x.csv: 3 rows missing"])
    result.provenance.update(command="usbench run -e /home/jane/work/mine.py:Mine --data C:\\Users\\jane\\m.csv")
    result.encoder.update(url="https://example.org/a/b", title="./local/encoder.py")
    prepared = prepare(save(tmp_path / "results", result), SECRET)
    text = prepared.result.to_json()
    for word in ("jane", "/home", "Users", "local/", "~/"):
        assert word not in text
    assert prepared.result.encoder["url"] == "https://example.org/a/b"
    assert prepared.result.provenance["command"] == "usbench run --encoder a --task covid"
    assert any("No path" in sentence for sentence in prepared.reveals)


def test_digests_of_the_data_are_keyed_like_the_names(path: Path) -> None:
    before, one, other = load(path), prepare(path, SECRET).result, prepare(path, bytes(32)).result
    kept = prepare(path, SECRET, keep_ids=True).result
    assert len({r.dataset["fingerprint"] for r in (before, one, other)}) == 3
    assert len({r.inputs for r in (before, one, other)}) == 3
    assert (kept.inputs, kept.dataset["fingerprint"]) == (before.inputs, before.dataset["fingerprint"])


@pytest.mark.parametrize("name", ["covid/texture", "breast_lesion@bus-bra-subset/texture"])
def test_diagnostics_still_belong_to_their_units(name: str, tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "leaderboards" / "results" / f"{name}.json"
    before, prepared = load(source), prepare(source, SECRET)
    assert validate(save(tmp_path, prepared.result), tmp_path) == []
    shifts = [r.instruments["shifts"]["measured"] for r in (before, prepared.result)]
    for level, entry in shifts[0].items():
        assert shifts[1][level]["estimate"]["value"] == pytest.approx(entry["estimate"]["value"], abs=2e-6)
    text = prepared.result.to_json()
    assert not any(subject in text for subject in before.units.subject if len(subject) > 4)
    bare = prepare(source, SECRET, keep_strata=False).result
    assert validate(save(tmp_path, bare), tmp_path) == []
    assert "strata" not in bare.instruments


def test_the_secret_is_private_from_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        modes.append(stat.S_IMODE(self.stat().st_mode))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    read_secret(tmp_path / "secret")
    assert modes == [0o600]
