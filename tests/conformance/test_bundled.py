"""Every bundled encoder keeps the contract; those that need weights do as their untrained twins."""

from __future__ import annotations

import subprocess
import sys

import pytest
from usbench_encoders import CATALOG

from usbench.conformance import check_encoder
from usbench.plugins.catalog import load_encoder

# The first two see 1024 x 1024 pixels, which takes minutes on a few cores.
LARGE = ("medsam.random", "ultrasam.random", "usfm.random")
QUICK = sorted(n for n in CATALOG if not n.endswith(":") and n not in ("medsam", "ultrasam", "usfm") and n not in LARGE)
MEMORY = 6 * 2**30


@pytest.mark.parametrize("name", QUICK)
def test_contract(name: str) -> None:
    report = check_encoder(load_encoder(name))
    assert report.passed, [finding for finding in report.findings if finding.status != "pass"]
    assert not [finding for finding in report.findings if finding.status == "warn"]


@pytest.mark.parametrize("name", ["timm:resnet18.random", "open_clip:ViT-S-32-alt.random"])
def test_contract_of_families(name: str) -> None:
    assert check_encoder(load_encoder(name)).passed


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
    assert int(peak) < MEMORY
