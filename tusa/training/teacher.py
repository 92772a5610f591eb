"""Vectors of a frozen teacher, computed once for a bank of crops, so that a training step costs the student only.

Every image has the same number of crops. The first is the whole image; the others are drawn from the seed and the
image's place in the corpus. The bank is written in pieces, one crop of a stretch of images each, crop by crop: a run
that is killed goes on after its last piece, and one that is stopped early still has whole crops.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tusa.errors import TusaError
from tusa.files import written_whole
from tusa.training.corpus import Corpus

FORMAT = "tusa-teacher/1"
PIECE = 512
"""Images a piece."""
STEPS = {8: 0.0308, 4: 0.335}
"""Steps of an even quantiser that lose least of normally distributed numbers, in standard deviations (Max, 1960)."""
Teacher = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From grey squares, uint8 ``[B, S, S]``, to vectors ``[B, D]``."""


@dataclass(frozen=True)
class BankConfig:
    """What a bank holds.

    Attributes:
        crops: crops an image, the whole image included.
        size: side in pixels at which the teacher sees a crop.
        crop_scale: least and largest share of the area that a crop covers.
        crop_ratio: least and largest width over height of a crop.
        seed: of the crops.
    """

    crops: int = 6
    size: int = 224
    crop_scale: tuple[float, float] = (0.3, 1.0)
    crop_ratio: tuple[float, float] = (0.8, 1.25)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("crop_scale", "crop_ratio"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.crops < 1 or self.size < 32:
            raise TusaError("A bank needs at least 1 crop an image, of at least 32 px.")
        if not 0 < self.crop_scale[0] <= self.crop_scale[1] <= 1 or not 0 < self.crop_ratio[0] <= self.crop_ratio[1]:
            raise TusaError(f"crops cannot cover {self.crop_scale} of the area at ratios {self.crop_ratio}.")


@dataclass(frozen=True)
class TeacherBank:
    """A teacher's vectors for fixed crops of a corpus.

    Attributes:
        boxes: float32 ``[N, K, 4]``: left, top, width and height of each crop, as shares of the image's side.
        vectors: float32 ``[N, K, D]``, centred over the bank.
        about: where the vectors come from.
    """

    boxes: Tensor
    vectors: Tensor
    about: dict[str, Any]


def names_fingerprint(corpus: Corpus) -> str:
    """SHA-256 over organs and subjects, in order: the same for a corpus that was only compressed again."""
    return hashlib.sha256("\n".join((*corpus.organs, *corpus.subjects)).encode()).hexdigest()


def draw_boxes(count: int, config: BankConfig) -> NDArray[np.float32]:
    """Boxes of every image's crops, ``[count, K, 4]`` as in :class:`TeacherBank`; the first is the whole image.

    The boxes of an image depend on the seed and its number alone, so they do not change when a corpus grows.
    """
    boxes = np.zeros((count, config.crops, 4), dtype=np.float32)
    boxes[:, 0] = (0, 0, 1, 1)
    low, high = (math.log(ratio) for ratio in config.crop_ratio)
    for image in range(count):
        draws = np.random.default_rng((config.seed, image)).random((config.crops, 4))[1:]
        scale = config.crop_scale[0] + (config.crop_scale[1] - config.crop_scale[0]) * draws[:, 0]
        aspect = np.exp(low + (high - low) * draws[:, 1])
        width, height = np.minimum(np.sqrt(scale * aspect), 1), np.minimum(np.sqrt(scale / aspect), 1)
        boxes[image, 1:] = np.stack([draws[:, 2] * (1 - width), draws[:, 3] * (1 - height), width, height], axis=1)
    return boxes


def cut(images: Tensor, boxes: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Cut one box out of each image, to whole pixels, and resize it.

    Args:
        images: uint8 ``[B, H, W]``.
        boxes: ``[B, 4]`` as in :class:`TeacherBank`.
        size: side of the result.

    Returns:
        uint8 ``[B, size, size]``.
    """
    height, width = images.shape[1:]
    crops = []
    for image, (left, top, across, down) in zip(images, boxes.astype(float), strict=True):
        x, y = round(left * width), round(top * height)
        part = image[y : y + max(1, round(down * height)), x : x + max(1, round(across * width))]
        crops.append(
            functional.interpolate(part.float()[None, None], (size, size), mode="bilinear", antialias=True)[0, 0]
        )
    return torch.stack(crops).round().clamp(0, 255).byte().numpy()


def load_teacher(name: str, weights: Path | None = None, threads: int = 0) -> tuple[Teacher, dict[str, Any]]:
    """Make a frozen teacher ready.

    Args:
        name: a ``.onnx`` file, run unmodified by onnxruntime, or ``timm:MODEL``.
        weights: for timm, the model's file where it is not to be downloaded.
        threads: of onnxruntime; 0 for its own choice.

    Returns:
        The teacher, and what is known of it, for JSON.

    Raises:
        TusaError: when it is missing or takes or gives something else than images and one vector each.
    """
    if name.startswith("timm:"):
        return _timm_teacher(name.removeprefix("timm:"), weights)
    path = Path(name)
    if path.suffix != ".onnx":
        raise TusaError(f"The teacher {name!r} is neither an .onnx file nor timm:MODEL.")
    if not path.is_file():
        raise TusaError(f"No teacher at {path}. Check the path.")
    return _onnx_teacher(path, threads)


def _onnx_teacher(path: Path, threads: int) -> tuple[Teacher, dict[str, Any]]:
    try:
        import onnxruntime
    except ImportError as error:
        raise TusaError("A teacher in an .onnx file needs onnxruntime: pip install onnxruntime.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own that share no base but Exception
        raise TusaError(f"{path} is not a model that onnxruntime can run: {error}.") from error
    (given, *more), (output, *_) = session.get_inputs(), session.get_outputs()
    shape = list(given.shape)
    if more or len(shape) != 4 or 3 not in (shape[1], shape[3]) or given.type not in ("tensor(uint8)", "tensor(float)"):
        raise TusaError(f"{path} takes {given.type} {shape}; a teacher takes [B, H, W, 3] or [B, 3, H, W].")

    def teacher(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        colour = np.repeat(images[..., None], 3, axis=3)
        pixels: NDArray[Any] = colour if given.type == "tensor(uint8)" else _imagenet(colour)
        if shape[3] != 3:
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        vectors = np.asarray(session.run([output.name], {given.name: pixels})[0], dtype=np.float32)
        if vectors.ndim != 2:
            raise TusaError(f"{path} gives {list(vectors.shape)}; a teacher gives one vector an image, [B, D].")
        return vectors

    return teacher, {"teacher": path.name, "teacher_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _imagenet(colour: NDArray[np.uint8]) -> NDArray[np.float32]:
    mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)
    deviation = np.array([0.229, 0.224, 0.225], dtype=np.float32)
    scaled: NDArray[np.float32] = ((colour.astype(np.float32) / np.float32(255) - mean) / deviation).astype(np.float32)
    return scaled


def _timm_teacher(model: str, weights: Path | None) -> tuple[Teacher, dict[str, Any]]:
    import timm

    try:
        network: Any = timm.create_model(model, pretrained=weights is None)
        if weights is not None:
            network.load_state_dict(_plain_state(weights))
        network.reset_classifier(0)
        network.eval()
    except Exception as error:  # unknown name, no connection, or a file that does not fit: timm has no class for these
        raise TusaError(f"timm cannot make the teacher {model!r}: {error}.") from error
    data = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(data[key]).view(1, -1, 1, 1) for key in ("mean", "std"))

    @torch.inference_mode()
    def teacher(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = torch.from_numpy(images)[:, None].float() / 255
        vectors: NDArray[np.float32] = network((pixels - mean) / std).float().numpy()
        return vectors

    about = {"teacher": f"timm:{model}"}
    if weights is not None:
        about["teacher_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    return teacher, about


def _plain_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, of which nothing is executed."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def fill_bank(
    corpus: Corpus,
    teacher: Teacher,
    about: dict[str, Any],
    config: BankConfig,
    folder: Path,
    *,
    batch: int = 32,
    part: tuple[int, int] = (0, 1),
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Compute what is missing of a bank, piece by piece, each written atomically.

    Args:
        corpus: the images.
        teacher: see :func:`load_teacher`.
        about: what is known of the teacher.
        config: crops and sizes.
        folder: of the pieces; made if need be.
        batch: images that the teacher sees at once.
        part: ``(i, n)``: of every n pieces the i-th, counted from 0, for n processes that fill one folder.
        report: called with pieces done and pieces in all.

    Raises:
        TusaError: when the folder holds pieces of another corpus, teacher or configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = {
        "format": FORMAT,
        **about,
        **json.loads(json.dumps(asdict(config))),
        "images": len(corpus),
        "names_sha256": names_fingerprint(corpus),
    }
    _require_same_head(folder / "bank.json", head)
    boxes = draw_boxes(len(corpus), config)
    places = [(crop, start) for crop in range(config.crops) for start in range(0, len(corpus), PIECE)]
    places = places[part[0] :: part[1]]
    for number, (crop, start) in enumerate(places):
        path = _piece(folder, crop, start)
        if not path.is_file():
            rows = range(start, min(start + PIECE, len(corpus)))
            parts = []
            for first in range(rows.start, rows.stop, batch):
                some = slice(first, min(first + batch, rows.stop))
                parts.append(teacher(cut(corpus.images[some], boxes[some, crop], config.size)))
            with written_whole(path) as partial, partial.open("wb") as file:
                np.save(file, np.concatenate(parts).astype(np.float16))
        if report:
            report(number + 1, len(places))


def pack_bank(folder: Path, out: Path, *, bits: int = 16) -> dict[str, Any]:
    """Join the whole crops of a folder in one safetensors file.

    Args:
        folder: what :func:`fill_bank` wrote; crops that are not complete are left out.
        out: the file.
        bits: of each number: 16 for half precision; 8 or 4 for whole steps, the same step for all. Four bits turn a
            vector of evenly spread numbers by about five degrees, and make a quarter of the file.

    Returns:
        What is known of the bank, also written into the file.

    Raises:
        TusaError: when no crop is complete.
    """
    from safetensors.numpy import save

    head: dict[str, Any] = json.loads((folder / "bank.json").read_text(encoding="utf-8"))
    starts = range(0, head["images"], PIECE)
    whole: list[NDArray[Any]] = []
    while whole_crop := [_piece(folder, len(whole), start) for start in starts]:
        if len(whole) == head["crops"] or not all(path.is_file() for path in whole_crop):
            break
        whole.append(np.concatenate([np.load(path, allow_pickle=False) for path in whole_crop]))
    if not whole:
        raise TusaError(f"{folder} holds no crop that is complete for all {head['images']} images. Run it to the end.")
    config = BankConfig(**{key: head[key] for key in asdict(BankConfig())})
    boxes = draw_boxes(head["images"], config)[:, : len(whole)]
    vectors = np.stack(whole, axis=1)
    tensors: dict[str, NDArray[Any]] = {"boxes": np.ascontiguousarray(boxes)}
    head |= {"crops": len(whole), "size_of_vector": vectors.shape[2]}
    if bits == 16:
        tensors["vectors"] = vectors
    else:
        mean = vectors.mean(axis=(0, 1), dtype=np.float32)
        spread = float(np.sqrt(np.mean((vectors - mean) ** 2, dtype=np.float64)))
        step, largest = STEPS[bits] * spread, 2 ** (bits - 1)
        # Levels lie half a step beside whole numbers, so that there are as many below zero as above.
        levels = np.clip(np.floor((vectors - mean) / step), -largest, largest - 1).astype(np.int8)
        tensors |= {"levels": levels if bits == 8 else _nibbles(levels), "mean": mean}
        tensors["step"] = np.array([step], dtype=np.float32)
    head["bits"] = bits
    with written_whole(out) as partial:
        partial.write_bytes(save(tensors, {"format": FORMAT, "about": json.dumps(head)}))
    return head


def load_bank(path: Path, corpus: Corpus) -> TeacherBank:
    """Read a bank for a corpus.

    Raises:
        TusaError: when the file is no bank, or one of another corpus.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise TusaError(f"No bank of a teacher at {path}. Make one with `tusa teacher`, or leave data.bank empty.")
    try:
        with safe_open(path, framework="pt") as file:
            meta: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise TusaError(f"{path} is not a readable safetensors file ({error}). Make it again.") from error
    if meta.get("format") != FORMAT:
        raise TusaError(f"{path} is not a bank of a teacher (no '{FORMAT}' mark). Make one with `tusa teacher`.")
    about: dict[str, Any] = json.loads(meta["about"])
    if about["images"] != len(corpus) or about["names_sha256"] != names_fingerprint(corpus):
        raise TusaError(
            f"{path} is of another corpus ({about['images']} images there, {len(corpus)} here, or other names). "
            "Make a bank of this one, from the same sources in the same order."
        )
    if "levels" in tensors:
        levels = tensors["levels"] if about["bits"] == 8 else _from_nibbles(tensors["levels"])
        vectors = (levels.float() + 0.5) * tensors["step"] + tensors["mean"]
    else:
        vectors = tensors["vectors"].float()
    vectors = vectors - vectors.mean(dim=(0, 1))
    return TeacherBank(tensors["boxes"], vectors, about)


def _nibbles(levels: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Two levels of -8 to 7 a byte: ``[..., D / 2]`` of ``[..., D]``, D even."""
    lifted = (levels + 8).astype(np.uint8)
    packed: NDArray[np.uint8] = (lifted[..., ::2] | (lifted[..., 1::2] << 4)).astype(np.uint8)
    return packed


def _from_nibbles(packed: Tensor) -> Tensor:
    return torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2).to(torch.int8) - 8


def _piece(folder: Path, crop: int, start: int) -> Path:
    return folder / f"crop-{crop:02d}-{start:07d}.npy"


def _require_same_head(path: Path, head: dict[str, Any]) -> None:
    if not path.is_file():
        with written_whole(path) as partial:
            partial.write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if different := sorted(name for name in {*head, *found} if head.get(name) != found.get(name)):
        raise TusaError(
            f"{path.parent} holds a bank with another {', '.join(different)}. Give another folder, or remove it first."
        )
