"""From the stored values of a DICOM frame to what a viewer shows: DICOM PS3.3 C.11, and colour tables of C.7.6.3.

Every attribute is looked for where enhanced files keep it: in the frame's own functional groups, then in the shared
ones, then at the top level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import UsbenchError

if TYPE_CHECKING:
    import numpy.typing as npt

_COLOURS = ("Red", "Green", "Blue")


@dataclass(frozen=True)
class Table:
    """A lookup table.

    Attributes:
        first: Stored value of the first entry; smaller values get the first entry, larger ones the last.
        entries: Outputs.
        top: Largest output that the table's depth allows.
    """

    first: int
    entries: npt.NDArray[np.uint16]
    top: int

    def __call__(self, values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """Look values up."""
        positions = np.rint(values).astype(np.int64) - self.first
        found: npt.NDArray[np.uint16] = self.entries[np.clip(positions, 0, len(self.entries) - 1)]
        return found


@dataclass(frozen=True)
class Display:
    """How the values of one monochrome frame are displayed.

    Attributes:
        slope: Rescale slope.
        intercept: Rescale intercept.
        modality: Modality LUT, instead of slope and intercept.
        window: Centre, width and function, or ``None``.
        voi: VOI LUT, where there is no window.
    """

    slope: float = 1.0
    intercept: float = 0.0
    modality: Table | None = None
    window: tuple[float, float, str] | None = None
    voi: Table | None = None

    def grey(self, values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
        """Return values of a frame as displayed, before any inversion.

        Args:
            values: Stored values, integers.
            low: Smallest value that can be stored.
            high: Largest.
        """
        if self.modality is not None:
            values, low, high = self.modality(values), 0.0, float(self.modality.top)
        elif (self.slope, self.intercept) != (1.0, 0.0):
            values = values.astype(np.float64) * self.slope + self.intercept
            low, high = sorted((low * self.slope + self.intercept, high * self.slope + self.intercept))
        if self.window is not None:
            return windowed(values, *self.window)
        if self.voi is not None:
            values, low, high = self.voi(values), 0.0, float(self.voi.top)
        return full_range(values, low, high)


def display_of(header: Any, frame: int, notes: list[str]) -> Display:
    """Collect the display attributes of one frame.

    Args:
        header: pydicom dataset.
        frame: Frame number from 0.
        notes: Takes what was read otherwise than written.
    """
    slope = _first(_found(header, frame, "RescaleSlope"), 1.0)
    intercept = _first(_found(header, frame, "RescaleIntercept"), 0.0)
    if slope == 0.0:
        _note(notes, "a rescale slope of 0 means nothing and is ignored")
        slope, intercept = 1.0, 0.0
    modality = _found(header, frame, "ModalityLUTSequence")
    voi = _found(header, frame, "VOILUTSequence")
    signed = bool(int(header.get("PixelRepresentation") or 0))
    little = bool(header.original_encoding[1])
    return Display(
        slope,
        intercept,
        table_of(modality[0], "LUT", signed, little) if modality else None,
        _window(header, frame),
        table_of(voi[0], "LUT", signed or intercept < 0, little) if voi else None,
    )


def table_of(item: Any, name: str, signed: bool, little: bool) -> Table:
    """Read a lookup table, with 8-bit entries packed or in words alike.

    Args:
        item: Dataset with the descriptor and the data.
        name: ``LUT``, or for example ``RedPaletteColorLookupTable``.
        signed: Whether the first mapped value is signed.
        little: Byte order of the data.

    Raises:
        UsbenchError: The table is empty or shorter than it says.
    """
    count, first, bits = (int(value) for value in item[f"{name}Descriptor"].value)
    count = count & 0xFFFF or 1 << 16
    first = first - (1 << 16) if signed and first > 0x7FFF else first
    data = item[f"{name}Data"].value
    if isinstance(data, bytes):
        packed = len(data) < 2 * count
        entries = np.frombuffer(data, np.uint8 if packed else "<u2" if little else ">u2")
    else:
        numbers = np.atleast_1d(np.asarray(data, np.int64)) & 0xFFFF
        packed = len(numbers) < count
        entries = numbers.astype("<u2").view(np.uint8) if packed else numbers.astype(np.uint16)
    if len(entries) < count:
        raise UsbenchError(f"a lookup table announces {count} entries and has {len(entries)}")
    entries = entries[:count].astype(np.uint16)
    top = (1 << bits) - 1 if 1 <= bits <= 16 else 0xFFFF
    largest = int(entries.max())
    if largest > top:
        top = 0xFFFF  # entries of 8 bits, say, that fill their words
    elif bits == 16 and largest <= 0xFF:
        top = 0xFF  # or 8-bit entries announced as 16: black, if they were believed
    return Table(first, entries, top)


def apply_palette(values: npt.NDArray[Any], header: Any) -> npt.NDArray[np.uint8]:
    """Return the RGB of indices into a palette.

    Args:
        values: Indices, ``[H, W]``.
        header: pydicom dataset with the palette.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    if "RedPaletteColorLookupTableData" not in header:
        from pydicom.pixels import apply_color_lut  # knows segmented tables

        colours = apply_color_lut(values, header)[..., :3]
        bits = int(header.RedPaletteColorLookupTableDescriptor[2])
        return full_range(colours, 0, (1 << bits) - 1)
    signed = bool(int(header.get("PixelRepresentation") or 0))
    little = bool(header.original_encoding[1])
    tables = [table_of(header, f"{colour}PaletteColorLookupTable", signed, little) for colour in _COLOURS]
    top = max(table.top for table in tables)
    return np.stack([full_range(table(values), 0, top) for table in tables], axis=-1)


def windowed(values: npt.NDArray[Any], centre: float, width: float, function: str) -> npt.NDArray[np.uint8]:
    """Apply a window, PS3.3 C.11.2.1.2 and C.11.2.1.3, with output 0..255."""
    x = values.astype(np.float64)
    if function == "SIGMOID":
        unit = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - centre) / width, -700.0, 700.0)))
    elif function == "LINEAR_EXACT":
        unit = (x - centre) / width + 0.5
    elif width <= 1.0:  # LINEAR of width 1 is a threshold
        unit = (x > centre - 0.5).astype(np.float64)
    else:
        unit = (x - (centre - 0.5)) / (width - 1.0) + 0.5
    return np.rint(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)


def full_range(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Scale ``low`` to 0 and ``high`` to 255, rounding to nearest."""
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)


def _window(header: Any, frame: int) -> tuple[float, float, str] | None:
    """Return centre, width and function; ``None`` if there is no window or a meaningless one of width 0."""
    for group in _groups(header, frame):
        centre, width = _first(group.get("WindowCenter")), _first(group.get("WindowWidth"))
        if centre is not None and width is not None and width > 0:
            return centre, width, str(group.get("VOILUTFunction") or "LINEAR").strip().upper()
    return None


def _found(header: Any, frame: int, name: str) -> Any:
    for group in _groups(header, frame):
        value = group.get(name)
        if value not in (None, "") and not (isinstance(value, Sequence) and not isinstance(value, str) and not value):
            return value
    return None


def _groups(header: Any, frame: int) -> Iterator[Any]:
    """Yield the datasets that may hold display attributes, the most specific first."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared = header.get("SharedFunctionalGroupsSequence") or ()
    for groups in (per_frame[frame : frame + 1], shared[:1]):
        for group in groups:
            for name in ("FrameVOILUTSequence", "PixelValueTransformationSequence"):
                yield from (group.get(name) or ())[:1]
            yield group
    yield header


def _first(value: Any, default: Any = None) -> Any:
    if value is None or value == "":
        return default
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return float(value)
    return float(value[0]) if len(value) else default


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)
