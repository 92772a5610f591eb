"""Ocular B-scans: a clinic's own manifest, and the simulated twin for those who have none."""

from __future__ import annotations

from usbench.data.dataset import DatasetCard
from usbench.data.manifest import ManifestDataset


class EyeHemorrhage(ManifestDataset):
    """A table with ``path``, ``subject``, ``case`` (one eye at one visit) and ``label`` (1 is hemorrhage)."""

    card = DatasetCard(
        name="eye-hemorrhage",
        title="Ocular B-scans (own manifest)",
        folders=("eye_hemorrhage.csv", "eye-hemorrhage.csv", "eye_hemorrhage.parquet", "eye-hemorrhage.parquet"),
        licence="the owner's",
        organ="eye",
        note="Data of the user's own; the images of the TUSA paper are not public.",
    )
