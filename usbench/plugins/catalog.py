"""The three registries, and functions that turn names into ready objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.names import check_name, split_variant, with_variant
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.encoder.weights.state_dict import set_recogniser
from usbench.errors import NameClashError, UnknownNameError, UsbenchError
from usbench.plugins.registry import Registry

if TYPE_CHECKING:
    from usbench.data.dataset import Dataset
    from usbench.task.task import Task

# In place of a pooling: every one that the encoder has.
ALL_POOLINGS = "all"


def _is_encoder(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, Encoder) and item is not Encoder


# Who lists encoders needs neither datasets nor tasks: their modules are loaded by the first one that is looked at.
def _is_dataset(item: object) -> bool:
    from usbench.data.dataset import Dataset

    return isinstance(item, type) and issubclass(item, Dataset) and item is not Dataset


def _is_task(item: object) -> bool:
    from usbench.task.task import Task

    return isinstance(item, Task)


ENCODERS: Registry[type[Encoder]] = Registry(
    "encoder",
    "usbench_encoders:CATALOG",
    "usbench.encoders",
    _is_encoder,
    "a subclass of usbench.Encoder",
)
DATASETS: Registry[type[Dataset]] = Registry(
    "dataset",
    "usbench_tasks:DATASETS",
    "usbench.datasets",
    _is_dataset,
    "a subclass of usbench.Dataset",
)


def _read_task(path: Path) -> Task:
    from usbench.task.toml import read_task_file

    return read_task_file(path)


TASKS: Registry[Task] = Registry("task", "usbench_tasks:TASKS", "usbench.tasks", _is_task, "a usbench.Task", _read_task)


def load_encoder(
    name: str, weights: str | Path | None = None, device: str = "auto", called: str | None = None, **options: Any
) -> Encoder:
    """Return an encoder by name; nothing heavy happens before its first use.

    Args:
        name: ``tusa``, ``tusa.random``, ``timm:<name>``, ``path/file.py:Class``, ``tusa+texture``,
            ``tusa@pooling=stages``, ...
        weights: Weight file, when it is not to be found by name.
        device: torch device; ``auto`` is CUDA, else MPS, else the CPU, found out when it is first needed.
        called: Name under which its results are kept, in place of its own.
        **options: ``pooling``, ``preprocessing``, ``precision``, and whatever else the encoder takes.

    Raises:
        UnknownNameError: No such encoder.
        UsbenchError: An option is not one that the encoder offers, or the name says otherwise than the option.
    """
    encoder = _load(name, weights, device, options)
    if called:
        encoder.called = _as_called(called, encoder)
        encoder.made_from = {**(encoder.made_from or {}), "called": called}
    return encoder


def _load(name: str, weights: str | Path | None, device: str, options: dict[str, Any]) -> Encoder:
    if parts := _parts(name):
        return _combined(name, parts, weights, device, dict(options))
    base, variant = split_variant(name) if name not in ENCODERS.names() else (name, {})
    digits = variant.pop("weights", "")
    options = _with_options(name, options, variant)
    encoder = _plain(base, weights, device, options)
    if digits:
        _check_weights(name, encoder, digits)
    if encoder.made_from is not None:
        encoder.made_from["name"] = with_variant(base, {"weights": digits}) if digits else base
    return encoder


def _with_options(name: str, options: dict[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    """Join options with those that the name says; ``fp32`` is what commands pass on where nobody asked."""
    joined = dict(options)
    for key, value in said.items():
        asked = options.get(key)
        if asked not in (None, value) and (key, asked) != ("precision", "fp32"):
            raise UsbenchError(
                f"encoder {name!r}: its name says {key} {value}, and {key} {asked} is asked for. Say one."
            )
        joined[key] = value
    return joined


def _check_weights(name: str, encoder: Encoder, digits: str) -> None:
    """Refuse another file of weights than the one whose digest a name begins with."""
    from usbench.encoder import weights

    path = encoder.weights_path() if encoder.takes_weights else None
    found = weights.file_sha256(path) if path is not None else ""
    if not found.startswith(digits):
        here = f"{path} has {found[:8]}" if found else "none is in use"
        raise UsbenchError(
            f"encoder {name!r}: asks for weights whose SHA-256 begins with {digits}, and {here}. Give the file with "
            "--weights."
        )


def _as_called(called: str, encoder: Encoder) -> str:
    check_name("encoder", called)
    if split_variant(called)[1]:
        raise UsbenchError(f"--name {called}: '@' with what follows is how variants are named. Choose a plain name.")
    if called != encoder.name and called in ENCODERS.names():
        raise NameClashError(f"--name {called}: this is the name of another encoder. Choose one of its own.")
    return called


def _plain(name: str, weights: str | Path | None, device: str, options: dict[str, Any]) -> Encoder:
    found = ENCODERS.get(name)
    asked = dict(options)
    if found.argument:
        options["argument"] = found.argument
    try:
        encoder = found.value(weights=weights, device=device, **options)
    except TypeError as error:
        raise UsbenchError(f"encoder {name!r}: {error}. See `usbench info {name}`.") from error
    except UsbenchError:
        raise
    except Exception as error:  # a plugin can fail in any way
        if isinstance(error, AttributeError) and error.name == "card":
            raise UsbenchError(
                f"encoder {name!r}: its class has no card. Add one: card = EncoderCard(name=..., title=..., "
                "embedding_dim=...)."
            ) from error
        raise UsbenchError(f"encoder {name!r}: it cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(getattr(encoder, "card", None), EncoderCard):
        raise UsbenchError(f"encoder {name!r}: its card is not an EncoderCard.")
    if found.source_digest and encoder.name in ENCODERS.names():
        raise NameClashError(
            f"encoder {name!r}: its card says {encoder.name!r}, which is the name of an installed encoder. Give it a "
            "name of its own: vectors and results are kept under it."
        )
    encoder.source = found.source_digest or encoder.source
    encoder.activate = found.activate or encoder.activate
    encoder.made_from = {"name": name, "weights": str(weights) if weights else None, "device": device, **asked}
    return encoder


def load_encoders(name: str, pooling: str | Sequence[str] | None = None, **options: Any) -> list[Encoder]:
    """Return an encoder by name in each of the poolings asked for, whose vectors one forward pass gives.

    Args:
        name: As for :func:`load_encoder`.
        pooling: A pooling of its card, several of them, as a list or with commas, or ``all`` that it has.
        **options: Further arguments of :func:`load_encoder`.

    Raises:
        UnknownNameError: No such encoder.
        UsbenchError: An option is not one that the encoder offers.
    """
    asked = poolings_asked(pooling, lambda: load_encoder(name, **options).offered_poolings(), options.get("called"))
    first = load_encoder(name, pooling=next(iter(asked), None), **options)
    first.companions = tuple(asked[1:])
    return [first, *(first.in_pooling(each) for each in asked[1:])]


def poolings_asked(
    pooling: str | Sequence[str] | None, offered: Callable[[], Iterable[str]], called: str | None = None
) -> list[str]:
    """Read the names of poolings, each once.

    Args:
        pooling: ``mean``, ``mean,stages``, ``all`` or a list.
        offered: Returns what ``all`` stands for; called only where it is asked for.
        called: A name for the row, of which there is one.

    Returns:
        Their names, none where the encoder's own is asked for.

    Raises:
        UsbenchError: A name is empty, ``all`` stands beside others, or one name is given to several rows.
    """
    if pooling is None:
        return []
    names = _names_of_poolings(pooling)
    if names == [ALL_POOLINGS]:
        names = list(offered())
    if called and len(names) > 1:
        raise UsbenchError(
            f"{called!r} is a name for one row, and {len(names)} poolings make a row each. Name one pooling."
        )
    return names


def _names_of_poolings(pooling: str | Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(part.strip() for part in (pooling.split(",") if isinstance(pooling, str) else pooling)))
    if "" in names:
        raise UsbenchError(f"pooling {pooling!r}: write names with commas between them, such as mean,stages, or all.")
    if ALL_POOLINGS in names and len(names) > 1:
        raise UsbenchError(
            f"pooling {pooling!r}: all stands for every pooling that the encoder has; leave the rest out."
        )
    return names


def _parts(name: str) -> list[str]:
    """Return the encoders that a name combines with ``+``, none where it is the name of one."""
    if "+" not in name or name in ENCODERS.names():
        return []
    parts = name.split("+")
    try:
        for part in parts:
            ENCODERS.get(split_variant(part)[0])
    except UnknownNameError:
        return []  # a path with a plus in it, or a misspelt name, of which the registry tells
    return parts


def _combined(name: str, parts: list[str], weights: str | Path | None, device: str, options: dict[str, Any]) -> Encoder:
    from usbench.encoder.combined import Combined

    # The precision of the whole stands behind its last part.
    last, variant = split_variant(parts[-1])
    said = {"precision": variant.pop("precision")} if "precision" in variant else {}
    options = _with_options(name, options, said)
    parts = [*parts[:-1], with_variant(last, variant)]
    for part in parts:
        if "precision" in split_variant(part)[1]:
            raise UsbenchError(f"{name}: a combination has one precision, said behind its last part.")
    precision = options.pop("precision", "fp32")
    given = [key for key, value in {"weights": weights, **options}.items() if value]
    if given:
        raise UsbenchError(
            f"{name}: a combination takes no {' and no '.join(given)}; its parts are used as they are by default. "
            "Register weights with `usbench weights add`."
        )
    made = [load_encoder(part, device=device, precision=precision) for part in parts]
    together = Combined(made, device=device, precision=precision)
    together.made_from = {"name": name, "weights": None, "device": device, "precision": precision}
    return together


def load_task(name: str) -> Task:
    """Return a task by name, from ``path/file.py:name`` or from a TOML file.

    Args:
        name: ``covid``, ``path/file.py:task`` or ``path/file.toml``.

    Raises:
        UnknownNameError: No such task.
        UsbenchError: The file does not declare a valid task.
    """
    if name.endswith(".toml"):
        return _read_task(Path(name).expanduser())
    return TASKS.get(name).value


def guess_model(keys: Iterable[str]) -> str | None:
    """Return the name of the encoder whose published file holds tensors of these names, if one is recognised.

    Args:
        keys: Names of tensors as in the file, without wrappers.
    """
    known = set(keys)
    found: dict[str, int] = {}
    for name in ENCODERS.names():
        if name.endswith(":"):
            continue
        try:
            source = ENCODERS.get(name).value.card.weights
        except UsbenchError:
            continue  # a plugin that cannot be imported recognises nothing
        if source is not None and source.signature and known.issuperset(source.signature):
            found[name] = len(source.signature)
    # One network may hold all that another is recognised by, and more.
    return max(found, key=lambda name: found[name], default=None)


set_recogniser(guess_model)
