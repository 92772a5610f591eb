"""Moved to :mod:`usbench_tasks.phantoms`; this name keeps working for plugins that were written for it."""

import importlib


def __getattr__(name: str) -> object:
    return getattr(importlib.import_module("usbench_tasks.phantoms"), name)


def __dir__() -> list[str]:
    return dir(importlib.import_module("usbench_tasks.phantoms"))
