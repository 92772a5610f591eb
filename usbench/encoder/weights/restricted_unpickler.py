"""Tensors out of a pickled checkpoint, without executing anything in it.

A pickle is a program: it names functions and has them called. ``torch.load(weights_only=True)`` runs such
programs on a short list of functions, and refuses checkpoints that also hold, say, a training configuration
of mmengine. The unpickler here accepts those too, in this way:

* what rebuilds tensors is done by functions of this module, which only look at buffers already read;
* other classes become *inert* objects that swallow arguments and state: nothing is imported for them;
* the standard library's and torch's functions, which no set of weights has a reason to name, are refused by
name.

Even an inert ``os.system`` could do no harm. It is refused, because a file that names it is an attack and
whoever has it should learn of it.
"""

from __future__ import annotations

import _compat_pickle
import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

# Data types of the standard library that checkpoints carry along, such as dates and arguments of a command
# line. They become inert like all else; they are only not held against the file.
_HARMLESS_MODULES = frozenset(
    {"argparse", "collections", "copyreg", "datetime", "decimal", "enum", "fractions", "pathlib"}
    | {"types", "uuid", "zoneinfo"}
)
_HARMLESS_BUILTINS = frozenset(
    {"Ellipsis", "NotImplemented", "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int"}
    | {"list", "object", "range", "set", "slice", "str", "tuple"}
)
_FOREIGN_FUNCTIONS = frozenset({"IPython", "cloudpickle", "dill", "joblib", "pip", "pkg_resources", "setuptools"})


class RefusedGlobal(Exception):
    """The pickle names something that could execute; ``str`` gives the name."""


class DamagedPickle(Exception):
    """The pickle cannot be read to its end; ``str`` says why."""


class Inert:
    """Stands in for an object whose class is not imported: accepts everything, does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        """Accept any arguments."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> Inert:
        """Be a function or class that does nothing."""
        return Inert()

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def append(self, item: Any) -> None:
        """Swallow an item, as a list would be given one."""

    def extend(self, items: Any) -> None:
        """Swallow items."""

    def add(self, item: Any) -> None:
        """Swallow an item, as a set would be given one."""


class _Mapping(OrderedDict[Any, Any]):
    """A dictionary whose attributes a pickle cannot set."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Trusted:
    """One of this module's functions as the pickle sees it: callable, and closed to changes of its state."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise DamagedPickle("it tries to change a function that rebuilds tensors")


class _StorageType:
    """Name of a storage class; says the type of its numbers."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        raise DamagedPickle("it tries to change a type")


def read_zip(path: Path) -> Any:
    """Read the object in a checkpoint of torch's present format, a zip archive.

    Args:
        path: A file for which :func:`zipfile.is_zipfile` holds, with an entry ``*/data.pkl``.

    Raises:
        RefusedGlobal: The pickle names something that could execute.
        DamagedPickle: It cannot be read to its end.
    """
    import torch

    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        main = next(name for name in entries if name == "data.pkl" or name.endswith("/data.pkl"))
        folder = main.removesuffix("data.pkl")
        if entries.get(folder + "byteorder") and archive.read(folder + "byteorder") != b"little":
            raise DamagedPickle("it was written on a big-endian machine; save it anew on a little-endian one")
        buffers: dict[str, torch.Tensor] = {}

        def buffer(key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
            if key not in buffers:
                entry = entries.get(f"{folder}data/{key}")
                if entry is None or entry.file_size < count * dtype.itemsize:
                    raise DamagedPickle(f"the numbers of storage {key} are missing or too few")
                content = bytearray(archive.read(entry))
                buffers[key] = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0)
            return buffers[key]

        return _load(io.BytesIO(archive.read(main)), buffer)


def read_legacy(path: Path) -> Any:
    """Read the object in a checkpoint of torch's format before version 1.6, a row of pickles and numbers.

    Args:
        path: The file.

    Raises:
        RefusedGlobal: A pickle names something that could execute.
        DamagedPickle: It is another format or cannot be read to its end.
    """
    import torch

    size = path.stat().st_size
    buffers: dict[str, torch.Tensor] = {}
    widths: dict[str, int] = {}

    def buffer(key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        # The numbers follow after the pickle, so room is made now and filled later.
        if key not in buffers:
            if not 0 <= count * dtype.itemsize <= size:
                raise DamagedPickle(f"storage {key} claims more numbers than the file holds")
            buffers[key] = torch.zeros(count * dtype.itemsize, dtype=torch.uint8)
            widths[key] = dtype.itemsize
        return buffers[key]

    with path.open("rb") as file:
        first = _load(file, buffer)
        if first != LEGACY_MAGIC or isinstance(first, bool):
            return first  # a plain pickle that torch did not write
        if _load(file, buffer) != LEGACY_PROTOCOL:
            raise DamagedPickle("it is of an unknown version of torch's old format")
        system = _load(file, buffer)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise DamagedPickle("it was written on a big-endian machine; save it anew on a little-endian one")
        content = _load(file, buffer)
        keys = _load(file, buffer)
        if not isinstance(keys, list) or set(map(str, keys)) != set(buffers):
            raise DamagedPickle("its list of storages is not that of its tensors")
        for key in map(str, keys):
            head = file.read(8)
            if len(head) < 8:  # cut within the length of an empty storage, which then still reads as zero
                raise DamagedPickle("it ends too early")
            count = int.from_bytes(head, "little", signed=True)
            room = buffers.get(key)
            if room is None or count * widths[key] != len(room):
                raise DamagedPickle(f"the numbers of storage {key} do not fit its description")
            if file.readinto(room.numpy().data) != len(room):
                raise DamagedPickle("it ends too early")
    return content


Buffer = Callable[[str, "torch.dtype", int], "torch.Tensor"]


def _load(file: IO[bytes], buffer: Buffer) -> Any:
    try:
        return _Reader(file, buffer).load()
    except (RefusedGlobal, DamagedPickle):
        raise
    except RecursionError:
        raise DamagedPickle("it is nested too deeply") from None
    except Exception as error:  # a malformed program can fail in any operation of the unpickler
        raise DamagedPickle(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None


class _Reader(pickle.Unpickler):
    """Unpickler that resolves no name outside this module."""

    def __init__(self, file: IO[bytes], buffer: Buffer) -> None:
        super().__init__(file, encoding="latin1")
        self._buffer = buffer

    def find_class(self, module: str, name: str) -> Any:
        """Return this module's answer to a name, an inert class, or refuse."""
        module, name = _modern(module, name)
        trusted = _trusted(module, name)
        if trusted is not None:
            return trusted
        if _is_suspect(module, name):
            raise RefusedGlobal(f"{module}.{name}")
        return type("Inert", (Inert,), {})

    def persistent_load(self, pid: Any) -> Any:
        """Return the buffer behind a reference to a storage, with the type of its numbers."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] not in ("storage", b"storage"):
            raise DamagedPickle("it refers to something that is not a storage of numbers")
        kind, key, count = pid[1], str(pid[2]), pid[4]
        dtype = kind.dtype if isinstance(kind, _StorageType) else None
        if dtype is None or not isinstance(count, int) or count < 0:
            raise DamagedPickle(f"storage {key} is of an unknown type")
        if len(pid) > 5 and pid[5] is not None:
            raise DamagedPickle(f"storage {key} is a view of another, which is not supported; save the file anew")
        return self._buffer(key, dtype, count), dtype


def _modern(module: str, name: str) -> tuple[str, str]:
    """Translate a name of Python 2, in which the older pickle protocols spell the standard library."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _trusted(module: str, name: str) -> Any:
    import torch

    if module == "collections" and name in ("OrderedDict", "defaultdict"):
        return _Trusted(lambda *args: _Mapping(args[0] if name == "OrderedDict" and args else ()))
    if module == "torch._utils" and name in _REBUILD:
        return _Trusted(_REBUILD[name])
    if module == "torch._tensor" and name == "_rebuild_from_type_v2":
        return _Trusted(lambda function, kind, args, state: function(*args) if callable(function) else Inert())
    if module == "torch" and name == "Size":
        return _Trusted(lambda sizes=(): tuple(sizes))
    if module in ("torch", "torch.storage", "torch.cuda") and name.endswith("Storage"):
        return _StorageType(_storage_dtype(name))
    if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
        return getattr(torch, name)
    if module == "_codecs" and name == "encode":
        return _Trusted(lambda text, encoding="latin1": str(text).encode("latin1"))
    return None


def _is_suspect(module: str, name: str) -> bool:
    root = module.partition(".")[0]
    if root == "builtins":
        return name not in _HARMLESS_BUILTINS
    if root == "torch":
        # Layers and optimisers of a model that was pickled whole are data here; functions of torch are not.
        return not ((name[:1].isupper() and module.startswith(("torch.nn.", "torch.optim"))) or name == "device")
    if root in _FOREIGN_FUNCTIONS:
        return True
    return root in sys.stdlib_module_names and root not in _HARMLESS_MODULES


def _storage_dtype(name: str) -> torch.dtype:
    import torch

    names = {"Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64"}
    names |= {"Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Untyped": "uint8", "Bool": "bool"}
    names |= {"ComplexFloat": "complex64", "ComplexDouble": "complex128"}
    dtype = getattr(torch, names.get(name.removesuffix("Storage"), ""), None)
    if not isinstance(dtype, torch.dtype):
        raise DamagedPickle(f"numbers of type {name} are not supported")
    return dtype


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> torch.Tensor:
    import torch

    if not (isinstance(storage, tuple) and len(storage) == 2 and isinstance(storage[0], torch.Tensor)):
        raise DamagedPickle("a tensor has no numbers")
    content, dtype = storage
    dtype = next((item for item in rest if isinstance(item, torch.dtype)), dtype)
    if not all(type(number) is int and number >= 0 for number in (offset, *size, *stride)):
        raise DamagedPickle("a tensor has an impossible shape")
    # set_ checks that offset, size and stride stay within the storage.
    return torch.empty(0, dtype=dtype).set_(content.untyped_storage(), offset, tuple(size), tuple(stride))


def _parameter(data: Any, *rest: Any) -> Any:
    return data


_REBUILD: dict[str, Callable[..., Any]] = {
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor,
}
