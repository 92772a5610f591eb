"""Names of tensors: unpacking, selecting, fitting them to a network, and telling whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.encoder.card import EncoderCard
from usbench.encoder.weights.heads import other_heads
from usbench.errors import WeightsError

if TYPE_CHECKING:
    import torch

State = dict[str, "torch.Tensor"]
# From names of tensors to the name of the encoder whose published file holds them, or ``None``.
Recogniser = Callable[[Iterable[str]], str | None]

# Where training programs put the weights that are meant to be used, the averaged copy before the raw one.
_AVERAGED = ("ema_state_dict", "model_ema")
_RAW = ("state_dict", "model", "model_state_dict", "teacher", "ema", "student", "network", "net", "module")
WRAPPERS = (*_AVERAGED, *_RAW, "target_encoder", "encoder", "weights")
# What DataParallel, torch.compile and weight averaging put before every name.
PREFIXES = ("module.", "_orig_mod.")
_DEPTH = 4


def unwrap(content: Any) -> State:
    """Find the dictionary of tensors in what a checkpoint holds.

    Args:
        content: What was read: a dictionary of tensors, or dictionaries around one.

    Returns:
        Names to tensors, common prefixes removed; empty when there are none.
    """
    import torch

    for _ in range(_DEPTH):
        if not isinstance(content, Mapping):
            return {}
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    state = {str(k): v for k, v in content.items() if isinstance(v, torch.Tensor)}
    while state and (prefix := next((p for p in PREFIXES if all(k.startswith(p) for k in state)), None)):
        state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state


def keep(state: Mapping[str, torch.Tensor], prefix: str) -> State:
    """Select the tensors whose names begin with a prefix, and remove it.

    Args:
        state: Names to tensors.
        prefix: For example ``image_encoder.``.
    """
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def rename(state: Mapping[str, torch.Tensor], replacements: Iterable[tuple[str, str]]) -> State:
    """Replace parts of every name, one replacement after the other.

    Args:
        state: Names to tensors.
        replacements: Pairs of what is replaced, wherever it occurs, and by what.
    """
    renamed = dict(state)
    for old, new in replacements:
        renamed = {key.replace(old, new): tensor for key, tensor in renamed.items()}
    return renamed


def fit_prefix(state: Mapping[str, torch.Tensor], expected: Iterable[str]) -> State:
    """Select the part of a state dict that is meant for a network, by the prefix under which most names
    match.

    Args:
        state: Names to tensors, perhaps of a larger model that holds the network as ``encoder.`` or
            ``visual.``.
        expected: The network's own names.

    Returns:
        The tensors under that prefix, without it; everything, unchanged, when no prefix helps.
    """
    names = list(expected)
    first = names[0] if names else ""
    prefixes = {""} | {key.removesuffix(first) for key in state if key.endswith(f".{first}")}
    best = max(sorted(prefixes), key=lambda prefix: sum(prefix + name in state for name in names))
    return keep(state, best)


def load_strictly(
    module: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    path: Path,
    card: EncoderCard,
    published: Iterable[str] | None = None,
) -> None:
    """Load weights of which none is missing, superfluous or of another shape.

    Args:
        module: The network; changed in place. Half-precision tensors are widened to its own types.
        state: Names to tensors, already in the network's spelling.
        path: The file they come from, for the message.
        card: Card of the encoder, for the message.
        published: Names as in the file, by which to guess whose file it is; those of ``state`` when omitted.

    Raises:
        WeightsError: They do not fit; the message names the first misfit and guesses whose weights they are.
    """
    expected = module.state_dict()
    # Counters of batch norm, which inference does not use; older files lack them, and torch forgives that too.
    counters = {key: tensor for key, tensor in expected.items() if key.endswith(".num_batches_tracked")}
    state = {**counters, **state}
    missing = [key for key in expected if key not in state]
    extra = [key for key in state if key not in expected]
    shapes = [key for key in expected if key in state and expected[key].shape != state[key].shape]
    if missing or extra or shapes:
        problems = []
        if missing:
            problems.append(f"{len(missing)} tensors are missing, first {missing[0]!r}")
        if extra:
            problems.append(f"{len(extra)} are unknown, first {extra[0]!r}")
        if shapes:
            have, want = tuple(state[shapes[0]].shape), tuple(expected[shapes[0]].shape)
            problems.append(f"{len(shapes)} have another shape, first {shapes[0]!r}: {have} instead of {want}")
        if heads := other_heads(state, expected):
            problems.append(f"it is of a network with {heads[0]} attention heads, and this one has {heads[1]}")
        names = list(state if published is None else published)
        raise WeightsError(
            f"{path}: these are not the weights of {card.name}: {'; '.join(problems)}.{_advice(names, card)}"
        )
    module.load_state_dict({key: state[key].to(expected[key].dtype) for key in expected}, strict=True)


def _nobody(names: Iterable[str]) -> str | None:
    return None


_recognise: Recogniser = _nobody


def set_recogniser(recogniser: Recogniser) -> None:
    """Let messages name the encoder that a wrong file belongs to.

    The catalogue of encoders stands above this package, so it hands its knowledge down when it is loaded.

    Args:
        recogniser: From names of tensors to an encoder's name, or ``None`` where it knows none.
    """
    global _recognise
    _recognise = recogniser


def _advice(names: list[str], card: EncoderCard) -> str:
    guess = _recognise(names)
    if guess and guess != card.name:
        return f" It looks like the file of {guess}: use `usbench weights add {guess} FILE`."
    if card.weights is not None:
        return f" Get {card.weights.filename} from {card.weights.page}."
    return f" The file's names begin with {', '.join(sorted({n.split('.')[0] for n in names})[:5])}." if names else ""
