"""The single checks. Each looks at one promise of the contract and says in one sentence what it found."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from usbench.conformance.frames import extreme_frames, odd_frames
from usbench.conformance.rebuild import built_again, built_elsewhere
from usbench.conformance.report import Status
from usbench.core.types import Frame, Vectors
from usbench.embedding.precision import multiplies_bfloat16
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError

if TYPE_CHECKING:
    import torch

Answer = tuple[Status, str]

# Largest difference, as a share of the vectors' spread, that reordering of sums explains in float32.
TOLERANCE = 1e-3
# Cosine between float32 and bfloat16 vectors below which the latter should not be used.
BF16_COSINE = 0.99
# The same, for the error of bfloat16 as a share of the distance between frames.
BF16_SHARE = 0.25
# Seconds per frame in float32 above which bfloat16 is not checked by emulation, which would take a quarter of an hour.
EMULATED_SECONDS = 2.0


@dataclass
class Subject:
    """The encoder under test, its frames, and what earlier checks have already computed."""

    encoder: Encoder
    frames: tuple[Frame, ...]
    tensors: list[torch.Tensor] = field(default_factory=list)
    vectors: Vectors | None = None
    in_two_processes: bool = False

    def batch(self) -> torch.Tensor:
        """Stack the preprocessed frames."""
        import torch

        return torch.stack(self.tensors)

    def together(self) -> Vectors:
        """Vectors of all frames in one batch, from the check of the output."""
        assert self.vectors is not None
        return self.vectors


def ready(subject: Subject) -> Answer:
    """Weights are there, and the network can be built."""
    readiness = subject.encoder.readiness()
    if not readiness.ready:
        return "fail", readiness.reason
    subject.encoder.prepare()
    return "pass", "the network can be built"


def card_complete(subject: Subject) -> Answer:
    """Nothing that a reader of a table needs is missing from the card."""
    card = subject.encoder.card
    wanted = ("title", "description") if card.floor else ("title", "description", "citation", "url")
    absent = [name for name in wanted if not getattr(card, name)]
    absent += ["licence"] if card.licence == "not stated" else []
    absent += ["parameters"] if card.parameters is None else []
    absent += ["pretraining"] if card.pretraining is None and not card.pretraining_note else []
    if not card.poolings or not card.preprocessings:
        return "fail", "poolings and preprocessings need at least one name each"
    if absent:
        return "warn", f"not stated on the card: {', '.join(absent)}"
    return "pass", "title, licence, citation and pre-training are stated"


def card_true(subject: Subject) -> Answer:
    """What the card says of the network is so."""
    encoder, card = subject.encoder, subject.encoder.card
    network = encoder.network
    count = sum(p.numel() for p in network.parameters()) if network is not None else 0
    opaque = bool(getattr(network, "opaque", False))  # a graph whose weights are no parameters of torch
    if card.parameters is not None and card.parameters != count and not opaque:
        return "fail", f"the card says {card.parameters:,} parameters, the network has {count:,}"
    size = tuple(subject.tensors[0].shape[-2:])
    if card.input_size is not None and tuple(card.input_size) != size:
        return "fail", f"the card says input {card.input_size}, preprocess() gives {size}"
    dimension = subject.together().shape[1]
    first = encoder.pooling == next(iter(card.poolings))
    if first and card.embedding_dim is not None and card.embedding_dim != dimension:
        return "fail", f"the card says {card.embedding_dim} values, encode() gives {dimension}"
    counted = "parameters not countable" if opaque else f"{count:,} parameters"
    return "pass", f"{counted}, {dimension} values a frame"


def preprocess_frames(subject: Subject) -> Answer:
    """preprocess() gives finite floating-point tensors of one shape."""
    import torch

    for frame in subject.frames:
        tensor: object = subject.encoder.preprocess(frame.copy())  # what a plugin returns may be anything
        if not isinstance(tensor, torch.Tensor):
            return "fail", f"preprocess() must return a tensor, got {type(tensor).__name__}"
        if not tensor.is_floating_point():
            return "fail", f"preprocess() must return floating-point numbers, got {tensor.dtype}"
        if not torch.isfinite(tensor).all():
            return "fail", "preprocess() gives NaN or infinity on an ordinary frame"
        subject.tensors.append(tensor)
    shapes = sorted({tuple(tensor.shape) for tensor in subject.tensors})
    if len(shapes) > 1:
        return "fail", f"preprocess() gives different shapes {shapes}; resize every frame to one size"
    return "pass", f"tensors of shape {shapes[0]}"


def preprocess_repeats(subject: Subject) -> Answer:
    """preprocess() has no randomness and no memory, also when several threads call it."""
    import torch

    frames = [frame for frame in subject.frames for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        again = list(pool.map(lambda frame: subject.encoder.preprocess(frame.copy()), frames))
    expected = [tensor for tensor in subject.tensors for _ in range(3)]
    if not all(torch.equal(a, b) for a, b in zip(again, expected, strict=True)):
        return "fail", "preprocess() gives different tensors for one frame; remove randomness and shared state"
    return "pass", "the same tensor every time, from several threads too"


def preprocess_leaves_input(subject: Subject) -> Answer:
    """preprocess() changes no frame, and takes read-only and strided ones."""
    import numpy as np
    import torch

    frame = subject.frames[0].copy()
    subject.encoder.preprocess(frame)
    if not np.array_equal(frame, subject.frames[0]):
        return "fail", "preprocess() changes the frame it is given; work on a copy"
    frame.setflags(write=False)
    wide = np.repeat(frame, 2, axis=1)[:, ::2]
    for kind, variant in (("read-only", frame), ("non-contiguous", wide)):
        if not torch.equal(subject.encoder.preprocess(variant), subject.tensors[0]):
            return "fail", f"preprocess() gives another tensor for a {kind} copy of a frame"
    return "pass", "frames are left as they are"


def odd_sizes(subject: Subject) -> Answer:
    """Frames of any size become the same shape."""
    for size, frame in odd_frames().items():
        shape = tuple(subject.encoder.preprocess(frame).shape)
        if shape != tuple(subject.tensors[0].shape):
            return "fail", f"a frame of {size} px gives shape {shape} instead of {tuple(subject.tensors[0].shape)}"
    return "pass", f"sizes {', '.join(odd_frames())} are accepted"


def output(subject: Subject) -> Answer:
    """encode() gives one finite vector per frame."""
    subject.vectors = subject.encoder.encode_batch(subject.batch())
    return "pass", f"float32 {subject.vectors.shape}"


def distinct(subject: Subject) -> Answer:
    """Different frames get different vectors."""
    import numpy as np

    vectors = subject.together()
    if np.ptp(vectors, axis=0).max() == 0:
        return "fail", "all frames get one and the same vector; check preprocessing and weights"
    spread = float(np.ptp(vectors, axis=0).max() / (abs(vectors).max() or 1))
    if spread < 1e-4:
        return "warn", f"vectors of different frames differ by no more than {spread:.1e} of their size"
    return "pass", "different frames get different vectors"


def deterministic(subject: Subject) -> Answer:
    """The same batch gives the same vectors, and the caller's random numbers are left alone."""
    import torch

    state = torch.random.get_rng_state()
    drift = _difference(subject, subject.encoder.encode_batch(subject.batch()), subject.together())
    if drift > 1e-6:
        return "fail", f"the same batch gives vectors that differ by {drift:.1e}; is dropout or sampling active?"
    if not torch.equal(state, torch.random.get_rng_state()):
        return "warn", "encode() draws from torch's global random numbers"
    return "pass", "the same vectors every time"


def batch_invariant(subject: Subject) -> Answer:
    """A vector depends neither on the size of the batch nor on what else is in it."""
    alone = subject.encoder.encode_batch(subject.batch()[:1])
    drift = _difference(subject, alone, subject.together()[:1])
    if drift > TOLERANCE:
        return "fail", f"a frame alone and in a batch differ by {drift:.1e}; is a batch norm in training mode?"
    return "pass", f"alone and in a batch differ by {drift:.1e} of the spread"


def order_invariant(subject: Subject) -> Answer:
    """Reversing a batch reverses its vectors."""
    backwards = subject.encoder.encode_batch(subject.batch().flip(0))[::-1]
    drift = _difference(subject, backwards, subject.together())
    if drift > TOLERANCE:
        return "fail", f"reversing the batch changes vectors by {drift:.1e}"
    return "pass", "the order of a batch does not matter"


def frozen(subject: Subject) -> Answer:
    """The network is in eval mode and has no gradients, after encoding too."""
    network = subject.encoder.network
    if network is None:
        return "skip", "no network"
    training = [name or type(network).__name__ for name, module in network.named_modules() if module.training]
    if training:
        return "fail", f"in training mode: {training[0]}; do not call train() in load() or encode()"
    learning = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    if learning:
        return "fail", f"asks for gradients: {learning[0]}"
    return "pass", "eval mode, no gradients"


def batch_untouched(subject: Subject) -> Answer:
    """encode() does not change its input."""
    import torch

    batch = subject.batch()[:1]
    before = batch.clone()
    subject.encoder.encode_batch(batch)
    if not torch.equal(batch, before):
        return "fail", "encode() changes the batch it is given; avoid operations in place on it"
    return "pass", "the batch is left as it is"


def extremes(subject: Subject) -> Answer:
    """Constant and extreme frames give finite vectors."""
    import torch

    named = extreme_frames()
    tensors = [subject.encoder.preprocess(frame) for frame in named.values()]
    for name, tensor in zip(named, tensors, strict=True):
        if not torch.isfinite(tensor).all():
            return "fail", f"preprocess() gives NaN or infinity on a frame that is {name}; guard the division"
    subject.encoder.encode_batch(torch.stack(tensors))
    return "pass", f"finite on {', '.join(named)}"


def bf16_drift(subject: Subject) -> Answer:
    """Vectors in bfloat16 stay close to those in float32, by direction and by the distance between frames."""
    import numpy as np

    encoder = subject.encoder
    if encoder.network is None or encoder.precision != "fp32":
        return "skip", "no network" if encoder.network is None else "not run in fp32"
    if not multiplies_bfloat16(encoder.device) and (taken := _seconds_a_frame(subject)) > EMULATED_SECONDS:
        return "skip", f"a frame takes {taken:.0f} s in fp32, and this device only emulates bf16, many times as slowly"
    encoder.precision = "bf16"
    try:
        half = encoder.encode_batch(subject.batch())
    finally:
        encoder.precision = "fp32"
    full = subject.together()
    sizes = np.linalg.norm(full, axis=1) * np.linalg.norm(half, axis=1)
    cosine = float(((full * half).sum(axis=1) / np.maximum(sizes, 1e-12)).min())
    # Vectors of all frames may be nearly parallel; what a probe sees is how they differ.
    apart = np.sqrt(((full[:, None] - full[None]) ** 2).sum(axis=2)[np.triu_indices(len(full), 1)].mean())
    moved = float(np.sqrt(((full - half) ** 2).sum(axis=1).mean()) / max(float(apart), 1e-12))
    told = f"bf16 moves vectors by {moved:.2%} of the distance between frames, cosine {cosine:.5f}"
    if cosine < BF16_COSINE or moved > BF16_SHARE:
        return "warn", f"{told}; do not use --precision bf16"
    return "pass", told


def _seconds_a_frame(subject: Subject) -> float:
    started = time.perf_counter()
    subject.encoder.encode_batch(subject.batch()[:1])
    return time.perf_counter() - started


def variants(subject: Subject) -> Answer:
    """The other poolings and preprocessings on the card work too, and are not the default under another name.

    Poolings must be the same from one pass as alone, or a store would hold other vectors than it is asked for.
    """
    import numpy as np

    encoder, chosen = subject.encoder, (subject.encoder.pooling, subject.encoder.preprocessing)
    first, done = subject.together()[0], 0
    others = [("pooling", name) for name in encoder.card.poolings if name != chosen[0]]
    others += [("preprocessing", name) for name in encoder.card.preprocessings if name != chosen[1]]
    alone: dict[str, Vectors] = {}
    try:
        for kind, name in others:
            encoder.pooling, encoder.preprocessing = chosen
            setattr(encoder, kind, name)
            same = kind == "pooling"
            tensor = subject.tensors[0] if same else encoder.preprocess(subject.frames[0].copy())
            try:
                vector = encoder.encode_batch(tensor[None])[0]
            except UsbenchError as error:
                return "warn", f"{kind} {name!r}: {error}"
            if vector.shape == first.shape and np.array_equal(vector, first):
                return "warn", f"{kind} {name!r} gives the vectors of {chosen[0] if same else chosen[1]!r}"
            done += 1
            if same:
                alone[name] = vector
        encoder.pooling, encoder.preprocessing = chosen
        joint = encoder.encode_batch_poolings(subject.tensors[0][None], [chosen[0], *alone]) if alone else {}
        for name, vector in alone.items():
            if not np.array_equal(joint[name][0], vector):
                return "fail", f"pooling {name!r} is another from encode_poolings() than from encode()"
    finally:
        encoder.pooling, encoder.preprocessing = chosen
    if not done:
        return "skip", "no other pooling or preprocessing"
    return "pass", f"{', '.join(name for _, name in others)} work too"


def identity_stable(subject: Subject) -> Answer:
    """The key of the embedding store does not change from one call to the next."""
    first, second = subject.encoder.identity(), subject.encoder.identity()
    if first.digest() != second.digest():
        return "fail", "identity() changes between calls; weights_id() must depend on the weights alone"
    if not first.weights:
        return "fail", "weights_id() is empty; return a digest, or 'none'"
    return "pass", f"weights {first.weights[:30]}"


def built_twice(subject: Subject) -> Answer:
    """Built a second time, it has the same identity and gives the same vectors."""
    made_from = subject.encoder.made_from if subject.in_two_processes else None
    if made_from is None:
        place, (identity, vectors) = "here", built_again(subject.encoder, subject.batch())
    else:
        place, (identity, vectors) = "in a second process", built_elsewhere(made_from)
    if identity != subject.encoder.identity().digest():
        return "fail", f"built again {place}, it has another identity; weights must not depend on chance or the time"
    if (
        vectors.shape != subject.together().shape
        or (drift := _difference(subject, vectors, subject.together())) > TOLERANCE
    ):
        return "fail", f"built again {place}, it gives other vectors; seed what is drawn in load(), and sort sets"
    return "pass", f"built again {place}, it differs by {drift:.1e} of the spread"


def _difference(subject: Subject, one: Vectors, other: Vectors) -> float:
    """Largest difference as a share of the spread of the vectors."""
    import numpy as np

    spread = float(np.ptp(subject.together(), axis=0).max()) or float(abs(subject.together()).max()) or 1.0
    return float(abs(one - other).max()) / spread


_BASE = ("ready", "preprocess")
_ENCODED = (*_BASE, "output")
CHECKS: tuple[tuple[str, Callable[[Subject], Answer], tuple[str, ...]], ...] = (
    ("card complete", card_complete, ()),
    ("ready", ready, ()),
    ("preprocess", preprocess_frames, ("ready",)),
    ("preprocess repeats", preprocess_repeats, _BASE),
    ("input unchanged", preprocess_leaves_input, _BASE),
    ("odd sizes", odd_sizes, _BASE),
    ("output", output, _BASE),
    ("card true", card_true, _ENCODED),
    ("frames distinct", distinct, _ENCODED),
    ("deterministic", deterministic, _ENCODED),
    ("batch size", batch_invariant, _ENCODED),
    ("batch order", order_invariant, _ENCODED),
    ("batch unchanged", batch_untouched, _ENCODED),
    ("extreme frames", extremes, _ENCODED),
    ("bf16", bf16_drift, _ENCODED),
    ("variants", variants, _ENCODED),
    ("frozen", frozen, ("ready",)),
    ("identity", identity_stable, ("ready",)),
    ("built twice", built_twice, _ENCODED),
)
