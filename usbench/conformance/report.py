"""What a check of an encoder found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: Short name of what was checked.
        status: ``fail`` for a broken contract, ``warn`` for what a reader should know, ``skip`` where a
            check does not apply or needs what an earlier one did not get.
        message: What was found and, unless it passed, what to do.
    """

    check: str
    status: Status
    message: str


@dataclass(frozen=True)
class Report:
    """All findings on one encoder.

    Attributes:
        encoder: Its name.
        findings: In the order of the checks.
    """

    encoder: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings do not count."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that break the contract."""
        return tuple(finding for finding in self.findings if finding.status == "fail")
