"""A folder of pictures and videos without a table: enough to make vectors of, not to be scored."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from usbench.core.names import as_name
from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.errors import DataError

_MASK = re.compile(
    r"(?:^|[\W_])(?:masks?|seg|segmentations?|tumou?r|annotations?|ground[\W_]?truth|gt)(?:[\W_]*\d+)?(?=[\W_]|$)", re.I
)
"""How published sets name drawings of structures, beside the pictures or in a folder of their own."""


class PictureFolder(Dataset):
    """Every readable file below a folder, each its own subject, as nothing is known of patients.

    Args:
        root: The folder.
    """

    def __init__(self, root: str | Path) -> None:
        name = Path(root).expanduser().absolute().name
        self.card = DatasetCard(
            name=as_name(name), title=name, licence="the owner's", note="Files of a folder; no labels."
        )
        super().__init__(root)

    def read(self) -> Index:
        """List the files, by path; hidden ones are left out, and others that cannot be read are counted in a note.

        Files without a known suffix are taken where they carry the mark of DICOM, as exports of scanners do.

        Raises:
            DataError: There is none that can be read.
        """
        import pandas as pd

        from usbench.media.file_type import SUFFIXES, is_headed_dicom, suffix_of

        names, left_out = [], Counter[str]()
        for path in sorted(self.root.rglob("*")):
            inner = path.relative_to(self.root)
            if any(part.startswith(".") for part in inner.parts) or not path.is_file():
                continue
            suffix = suffix_of(path)
            if suffix in SUFFIXES or (path.name.upper() != "DICOMDIR" and is_headed_dicom(path)):
                names.append(inner.as_posix())
            else:
                left_out[suffix or "without suffix"] += 1
        if not names:
            raise DataError(
                f"{self.root}: no pictures, videos or arrays in this folder (looked for {', '.join(SUFFIXES)})."
            )
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(left_out.items()))
        notes = [f"{left_out.total()} files of other kinds are left out: {kinds}."] if left_out else []
        if masks := [name for name in names if _MASK.search(name)]:
            notes.append(
                f"{len(masks)} of {len(names)} files are named as masks are, such as {masks[0]}, and are taken for "
                "pictures: move them out, or give a manifest without them."
            )
        if len(names) > 1:
            notes.append(
                "Every file counts as a subject of its own, as a folder does not tell patients apart: to score these "
                "vectors, give a manifest with the column subject."
            )
        return Index(pd.DataFrame({"path": names, "subject": names}), tuple(notes))
