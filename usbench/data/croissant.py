"""Croissant metadata of a dataset: the machine-readable form of its card, as JSON-LD.

Croissant 1.0 (MLCommons) describes where files lie, their digests, and the columns of their tables. Only what is known
is written: a file without a digest cannot be described as one, so its page stands in ``url`` alone.

References:
    Akhtar M et al. Croissant: A Metadata Format for ML-Ready Datasets. DEEM 2024. doi:10.1145/3650203.3663326.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from usbench.data.dataset import DatasetCard
    from usbench.data.datasheet import Datasheet, PublishedFile

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FORMATS = {".zip": "application/zip", ".csv": "text/csv", ".png": "image/png", ".mp4": "video/mp4"}
_EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def as_croissant(card: DatasetCard, sheet: Datasheet) -> dict[str, Any]:
    """Return the Croissant metadata of a dataset.

    Args:
        card: The reader's card.
        sheet: Its datasheet.

    Returns:
        Plain data, keys in the order in which they are written.
    """
    limits = "; ".join(text.rstrip(".") for text in (*sheet.faults, *sheet.overlaps))
    found: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": re.sub(r"[^A-Za-z0-9_-]", "-", card.name),
        "alternateName": card.title,
        "description": sheet.summary,
        "license": sheet.licence_url or card.licence,
        "url": card.url or sheet.obtain,
        "citeAs": card.citation,
        "datePublished": sheet.published,
        "keywords": [word for word in ("ultrasound", "B-mode", card.organ) if word],
        "size": sheet.size,
        "rai:dataCollection": sheet.scanners,
        "rai:dataLimitations": limits,
        "variableMeasured": list(sheet.labels),
        "distribution": [_file_object(file) for file in sheet.files if file.sha256],
    }
    return {key: value for key, value in found.items() if value}


def as_json(card: DatasetCard, sheet: Datasheet) -> str:
    """Return the Croissant metadata as the text of a file."""
    return json.dumps(as_croissant(card, sheet), indent=1, ensure_ascii=False) + "\n"


def _file_object(file: PublishedFile) -> dict[str, Any]:
    suffix = "." + file.filename.rpartition(".")[2].lower()
    return {
        "@type": "cr:FileObject",
        "@id": file.filename,
        "name": file.filename,
        "contentUrl": file.url,
        "encodingFormat": _EXCEL if suffix == ".xlsx" else _FORMATS.get(suffix, "application/octet-stream"),
        "sha256": file.sha256,
    }
