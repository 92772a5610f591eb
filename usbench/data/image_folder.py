"""A folder of pictures and videos without a table: enough to make vectors of, not to be scored."""

from __future__ import annotations

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
        """List the files, by path; hidden ones are left out.

        Raises:
            DataError: There is none that can be read.
        """
        import pandas as pd

        from usbench.media.file_type import SUFFIXES

        paths = [
            path.relative_to(self.root) for path in sorted(self.root.rglob("*")) if path.suffix.lower() in SUFFIXES
        ]
        names = [path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)]
        if not names:
            raise DataError(
                f"{self.root}: no pictures, videos or arrays in this folder (looked for {', '.join(SUFFIXES)})."
            )
        return Index(pd.DataFrame({"path": names, "subject": names}))
