"""Moved to :mod:`usbench.diagnostics.shifts`; this name keeps working for plugins that were written for it."""

import importlib


def __getattr__(name: str) -> object:
    return getattr(importlib.import_module("usbench.diagnostics.shifts"), name)


def __dir__() -> list[str]:
    return dir(importlib.import_module("usbench.diagnostics.shifts"))
