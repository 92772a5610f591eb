"""Simulated twins of data that not everyone can have; made on first use and kept in the cache."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.data.dataset import DatasetCard
from usbench.data.manifest import ManifestDataset

if TYPE_CHECKING:
    from usbench.core.settings import Settings

MANIFEST = "manifest.csv"


class PhantomDataset(ManifestDataset):
    """A dataset that a simulator writes where it does not exist yet.

    The folder carries the simulator's version, so that a newer simulator never answers from older images.

    Args:
        path: Manifest, existing or to be made.

    Raises:
        DataError: The images cannot be written.
    """

    builder: str
    """Function of :mod:`usbench_tasks.phantoms` that writes the folder."""

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        path = Path(path).expanduser()
        if path.name == MANIFEST and not path.exists():
            getattr(importlib.import_module("usbench_tasks.phantoms"), self.builder)(path.parent)
        super().__init__(path, name)

    @classmethod
    def embedded_root(cls, settings: Settings) -> Path:
        """Return where its manifest lies, or will lie once made."""
        from usbench_tasks.phantoms import PHANTOM_VERSION

        return settings.phantom_dir / f"{cls.card.name}-v{PHANTOM_VERSION}" / MANIFEST


class PhantomEye(PhantomDataset):
    """Ocular B-scans with vitreous opacities of graded severity; twin of the clinical eye dataset."""

    builder = "build_eye_phantom"
    card = DatasetCard(
        name="phantom-eye",
        title="Simulated ocular B-scans",
        licence="Apache-2.0",
        organ="eye",
        redistributable=True,
        synthetic=True,
        note="Simulated images: the figures say that the pipeline works, not how an encoder does on patients.",
    )


class PhantomHeart(PhantomDataset):
    """Beating left ventricles of known volume in an apical four-chamber view; twin of EchoNet-Dynamic."""

    builder = "build_heart_phantom"
    card = DatasetCard(
        name="phantom-heart",
        title="Simulated beating ventricles",
        licence="Apache-2.0",
        organ="cardiac",
        redistributable=True,
        synthetic=True,
        note="Simulated videos: the figures say that the pipeline works, not how an encoder does on patients.",
    )


class PhantomLiver(PhantomDataset):
    """Livers of graded echo and attenuation beside a kidney; twin of the liver steatosis set of Byra et al."""

    builder = "build_liver_phantom"
    card = DatasetCard(
        name="phantom-liver",
        title="Simulated livers beside kidneys",
        licence="Apache-2.0",
        organ="abdominal",
        redistributable=True,
        synthetic=True,
        note="Simulated images: the figures say that the pipeline works, not how an encoder does on patients.",
    )


class PhantomLung(PhantomDataset):
    """Lungs with A-lines, and with B-lines that grow in number with severity; twin of COVID-BLUES."""

    builder = "build_lung_phantom"
    labels_may_be_missing = True  # saturation without oxygen is unknown for some, as in COVID-BLUES
    card = DatasetCard(
        name="phantom-lung",
        title="Simulated lungs",
        licence="Apache-2.0",
        organ="lung",
        redistributable=True,
        synthetic=True,
        note="Simulated videos: the figures say that the pipeline works, not how an encoder does on patients.",
    )
