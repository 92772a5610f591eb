"""The encoder contract in executable form.

>>> from usbench import load_encoder
>>> from usbench.conformance import check_encoder
>>> report = check_encoder(load_encoder("pixels"))
>>> report.passed
True
"""

from usbench.conformance.report import Finding, Report
from usbench.conformance.suite import UNREACHED, check_encoder

__all__ = ["UNREACHED", "Finding", "Report", "check_encoder"]
