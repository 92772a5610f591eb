"""Running every check on one encoder and gathering what was found."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from usbench.conformance.report import Finding, Report
from usbench.core.types import Frame, Progress, silent
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError

UNREACHED = "needs a check that failed"
"""What a finding says that was skipped because of another one."""


def check_encoder(
    encoder: Encoder,
    frames: Sequence[Frame] | None = None,
    in_two_processes: bool = False,
    progress: Progress = silent,
) -> Report:
    """Check an encoder against the contract.

    About 16 frames are encoded. An error raised by the plugin becomes a finding; none leaves this function.

    Args:
        encoder: Any encoder; its network is built.
        frames: Three or more different grey frames, uint8 ``(H, W)``; simulated ones by default.
        in_two_processes: Whether to build it a second time in a process of its own, rather than here; possible for an
            encoder made by name, on the simulated frames.
        progress: Told before each check what is checked, how many checks are done, and how many there are.

    Returns:
        One finding per check.
    """
    from usbench.conformance.checks import CHECKS, Subject
    from usbench.conformance.frames import typical_frames

    subject = Subject(encoder, tuple(frames) if frames is not None else typical_frames())
    subject.in_two_processes = in_two_processes and frames is None
    findings: list[Finding] = []
    for done, (name, check, needs) in enumerate(CHECKS):
        progress(f"checking {encoder.name}: {name}", done, len(CHECKS))
        if any(f.check in needs and f.status in ("fail", "skip") for f in findings):
            findings.append(Finding(name, "skip", UNREACHED))
            continue
        try:
            status, message = check(subject)
        except UsbenchError as error:
            status, message = "fail", str(error)
        except Exception as error:  # a plugin can fail in any way
            status, message = "fail", f"{type(error).__name__}: {error}{_place(error)}"
        findings.append(Finding(name, status, message))
    return Report(encoder.name, tuple(findings))


def _place(error: Exception) -> str:
    """Say in which file and line of the plugin an error was raised."""
    steps = traceback.extract_tb(error.__traceback__)
    own = [step for step in steps if not any(part in step.filename for part in ("site-packages", "/usbench/"))]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
