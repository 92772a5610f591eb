"""Every bundled encoder keeps the contract; those that need weights do as their untrained twins."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from usbench_encoders import CATALOG, sam_network

from encoders import published
from usbench.conformance import check_encoder
from usbench.plugins.catalog import load_encoder

NAMES = sorted(name for name in CATALOG if not name.endswith(":"))
ENCODERS = {name: load_encoder(name) for name in NAMES}
READY = [name for name in NAMES if ENCODERS[name].readiness().ready]
# Minutes each on a few cores; those of one class and size are checked once. UltraSam is MedSAM's network behind other
# pixels: its contract is checked on a narrow one.
SAME_CLASS = ("urfm.random", "urfm-large.random", "ultrafedfm.random", "ultrasam.random")
LARGE = [name for name in READY if (ENCODERS[name].card.parameters or 0) > 30e6 and name not in SAME_CLASS]
QUICK = [name for name in READY if name not in LARGE and name not in SAME_CLASS]
MEMORY = 6 * 2**30


def test_who_needs_weights_has_an_untrained_twin_or_names_a_package() -> None:
    for name in set(NAMES) - set(READY):
        source = ENCODERS[name].card.weights
        assert f"{name}.random" in READY or (source is not None and source.packages), name


@pytest.mark.parametrize("name", QUICK)
def test_contract(name: str) -> None:
    report = check_encoder(load_encoder(name))
    assert report.passed, [finding for finding in report.findings if finding.status != "pass"]
    # Random weights with batch norms spread frames so little that bfloat16 may blur them.
    warned = [f for f in report.findings if f.status == "warn" and not (f.check == "bf16" and name.endswith(".random"))]
    assert not warned


@pytest.mark.parametrize("name", ["timm:resnet18.random", "open_clip:ViT-S-32-alt.random"])
def test_contract_of_families(name: str) -> None:
    assert check_encoder(load_encoder(name)).passed


@pytest.mark.slow
def test_contract_of_ultrasam_on_a_narrow_network(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder("ultrasam.random")
    assert encoder.card.parameters == ENCODERS["medsam.random"].card.parameters  # which are counted
    monkeypatch.setattr(sam_network, "build", published.narrow_sam)
    parameters = sum(parameter.numel() for parameter in published.narrow_sam().parameters())
    encoder.card = replace(encoder.card, embedding_dim=48, parameters=parameters)
    report = check_encoder(encoder)
    assert report.passed
    assert not [f for f in report.findings if f.status == "warn" and f.check != "bf16"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_contract_of_the_large_ones_in_six_gibibytes(name: str) -> None:
    """In a process of its own, whose peak of memory is its own."""
    code = (
        "import resource\n"
        "from usbench.conformance import check_encoder\n"
        "from usbench.plugins.catalog import load_encoder\n"
        f"report = check_encoder(load_encoder({name!r}))\n"
        "print([f for f in report.findings if f.status == 'fail' or (f.status == 'warn' and f.check != 'bf16')])\n"
        "print(report.passed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr
    findings, last = done.stdout.splitlines()[-2:]
    passed, peak = last.split()
    assert findings == "[]"
    assert passed == "True"
    assert int(peak) < (MEMORY if (ENCODERS[name].card.parameters or 0) < 200e6 else 2 * MEMORY)
