"""Acquisition shifts: what a picture might look like from another scanner setting, in five grades.

Every shift is a proxy in the image domain: the raw echoes are gone, so it can only do to the displayed picture what the
setting would have done to it. Each says which physics it stands for and where the stand-in ends.
"""

from usbench.diagnostics.shifts.levels import LEVELS, Level, parse_shifts

__all__ = ["LEVELS", "Level", "parse_shifts"]
