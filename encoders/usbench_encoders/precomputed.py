"""``precomputed:<folder>``: vectors made elsewhere, such as by ``usbench embed`` on another machine.

The layout is that of :mod:`usbench.embedding.vector_folder`. A frame is known by its pixels, so that frames of other
data, or decoded otherwise, are refused rather than given somebody else's vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.names import as_name
from usbench.encoder import Encoder, EncoderCard, Frame
from usbench.errors import EncodingError, UsbenchError

if TYPE_CHECKING:
    import torch

    from usbench.embedding.vector_folder import VectorFolder


class Precomputed(Encoder):
    """Vectors looked up in a folder.

    Args:
        argument: The folder.
        **options: As for :class:`usbench.encoder.Encoder`.

    Raises:
        DataError: There are no vectors in the folder.
        UsbenchError: A precision is asked for.
    """

    card = EncoderCard(
        name="precomputed:",
        title="precomputed",
        embedding_dim=None,
        description="Vectors from a folder that `usbench embed` wrote, or any other program.",
        preprocessings={"looked-up": "none: each frame is looked up by its pixels"},
        poolings={"looked-up": "vectors as they are in the folder"},
        licence="that of the encoder that made the vectors",
    )
    batch_size = 256

    def __init__(self, *, argument: str, **options: Any) -> None:
        from usbench.embedding.vector_folder import read_facts

        self._folder = Path(argument).expanduser()
        self._content: VectorFolder | None = None
        facts = read_facts(self._folder)
        self._origin = facts.get("dataset", {})
        self._made_in = str(facts.get("encoder", {}).get("identity", {}).get("precision", "fp32"))
        self.card = _card(self._folder, facts.get("encoder", {}))
        super().__init__(**options)
        if self.precision != "fp32":
            raise UsbenchError(f"{self.name}: the vectors are made; leave --precision out.")

    def precision_of_vectors(self) -> str:
        """Return ``int8`` for vectors that ``usbench embed`` made for screening: they enter no leaderboard either."""
        return "int8" if self._made_in == "int8" else self.precision

    def load(self) -> None:
        """Read the vectors.

        Raises:
            DataError: They are damaged, or do not belong to their index.
        """
        from usbench.embedding.vector_folder import read_vectors

        self._content = read_vectors(self._folder)

    def weights_id(self) -> str:
        """Return a digest of vectors and index."""
        from usbench.embedding.vector_folder import folder_sha256

        return f"vectors:{folder_sha256(self._folder)}"

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Look up the vector of a frame, float32 ``(D,)``.

        Raises:
            EncodingError: The folder has no vector of this frame.
        """
        import torch

        from usbench.embedding.vector_folder import frame_sha256

        self._ensure_loaded()
        assert self._content is not None
        row = self._content.rows.get(frame_sha256(frame))
        if row is None:
            made_of = f" of {self._origin['name']}" if "name" in self._origin else ""
            raise EncodingError(
                f"{self.name}: has no vector of a frame of {frame.shape[0]}x{frame.shape[1]} px that is asked for; it "
                f"holds {len(self._content.rows)} frames{made_of}. Embed the very frames that the task takes: "
                "`usbench embed --task TASK`."
            )
        return torch.from_numpy(self._content.vectors[row].copy())

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the vectors as they are, ``(B, D)``."""
        return batch


def _card(folder: Path, facts: dict[str, Any]) -> EncoderCard:
    """Describe what made the vectors, as far as the folder says."""
    empty = Precomputed.card
    seen, size = facts.get("pretraining"), facts.get("input_size")
    made = facts.get("name", "an unnamed encoder")
    return EncoderCard(
        name=f"precomputed:{as_name(folder.absolute().name)}",
        title=f"{facts['title']} (vectors from a file)" if "title" in facts else folder.absolute().name,
        embedding_dim=None,
        input_size=tuple(size) if size else None,
        description=f"Vectors made by {made}, looked up by frame. {facts.get('description', '')}".rstrip(),
        parameters=facts.get("parameters"),
        gflops=facts.get("gflops"),
        preprocessings=empty.preprocessings,
        poolings=empty.poolings,
        licence=facts.get("licence", empty.licence),
        citation=facts.get("citation", ""),
        url=facts.get("url", ""),
        year=facts.get("year"),
        pretraining_kind=facts.get("pretraining_kind", ""),
        pretraining_modality=facts.get("pretraining_modality", ""),
        pretraining=None if seen is None else tuple(seen),
        pretraining_note=facts.get("pretraining_note", ""),
        floor=bool(facts.get("floor", False)),
    )
