"""Moved to :mod:`usbench.conformance`; this name keeps working for plugins that were written for it."""

import importlib


def __getattr__(name: str) -> object:
    return getattr(importlib.import_module("usbench.conformance"), name)


def __dir__() -> list[str]:
    return dir(importlib.import_module("usbench.conformance"))
