"""A folder of pictures and videos without a table: enough to make vectors of, not to be scored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from usbench.core.names import as_name
from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.errors import DataError


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
        notes = (f"{left_out.total()} files of other kinds are left out: {kinds}.",) if left_out else ()
        return Index(pd.DataFrame({"path": names, "subject": names}), notes)
