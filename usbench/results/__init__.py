"""Results: one answer with its evidence, as versioned JSON."""

from usbench.results.schema import (
    SCHEMA_VERSION,
    Estimate,
    ProtocolResult,
    Repeat,
    Result,
    Results,
    Units,
    board_name,
    file_of,
    load,
    load_all,
    migrate,
    result_path,
    save,
    slug,
)

__all__ = [
    "SCHEMA_VERSION",
    "Estimate",
    "ProtocolResult",
    "Repeat",
    "Result",
    "Results",
    "Units",
    "board_name",
    "file_of",
    "load",
    "load_all",
    "migrate",
    "result_path",
    "save",
    "slug",
]
