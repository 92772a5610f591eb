"""The encoder contract in executable form.

>>> from usbench import load_encoder
>>> from usbench.checking import check_encoder
>>> report = check_encoder(load_encoder("pixels"))
>>> report.passed
True
"""

from usbench.checking.contract import Finding, Report, check_encoder

__all__ = ["Finding", "Report", "check_encoder"]
