"""Files made to execute something when they are loaded: they are refused by name, and nothing happens."""

import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from usbench.encoder.weights import read_state
from usbench.errors import WeightsError


class Reduce:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> Any:
        return self.call


class Setter:
    """Pickles as an object whose state carries a call."""

    def __init__(self, payload: Any) -> None:
        self.payload = payload


def attacks(proof: Path) -> dict[str, tuple[Any, str]]:
    command, code = f"touch {proof}", f"open({str(proof)!r}, 'w').close()"
    import posix
    import runpy
    import subprocess

    return {
        "os.system": (Reduce(os.system, command), "posix.system"),
        "posix.system": (Reduce(posix.system, command), "posix.system"),
        "builtins.eval": (Reduce(eval, f"__import__('os').system({command!r})"), "eval"),
        "builtins.exec": (Reduce(exec, code), "exec"),
        "builtins.getattr": (Reduce(getattr, "", "join"), "getattr"),
        "subprocess": (Reduce(subprocess.Popen, ["touch", str(proof)]), "subprocess.Popen"),
        "runpy": (Reduce(runpy.run_path, str(proof)), "runpy"),
        "torch.load": (Reduce(torch.load, str(proof), None, None), "torch"),
        "nested": ({"state_dict": {"a": [1, (2, {"b": Reduce(os.system, command)})]}}, "posix.system"),
        "state": ({"meta": Setter(Reduce(os.system, command))}, "posix.system"),
        "beside tensors": ({"w": torch.ones(2), "hook": Reduce(os.system, command)}, "posix.system"),
    }


NAMES = list(attacks(Path("unused")))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", NAMES)
def test_attack_is_refused_by_name_and_does_nothing(name: str, zipped: bool, tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    content, named = attacks(proof)[name]
    path = tmp_path / "evil.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=": refused: ") as caught:
        read_state(path)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not proof.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "state"])
def test_plain_pickles_of_every_protocol(name: str, protocol: int, tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps(attacks(proof)[name][0], protocol))
    if protocol < 2:  # protocols 0 and 1 begin with letters, which no weight file does
        expected = ": refused: |does not begin like a weight file"
    else:
        expected = ": refused: "
    with pytest.raises(WeightsError, match=expected):
        read_state(path)
    assert not proof.exists()


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """Without the protection the very same file does execute; otherwise the tests above would prove
    nothing."""
    proof = tmp_path / "executed"
    path = tmp_path / "evil.pth"
    torch.save(attacks(proof)["os.system"][0], path)
    torch.load(path, weights_only=False)
    assert proof.exists()


def zip_around(program: bytes, path: Path) -> None:
    """Write a pickle program, byte by byte our own, as torch's archive."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


@pytest.mark.parametrize(
    ("program", "message"),
    [
        # INST, the oldest way to call something.
        (b"(S'touch %s'\nios\nsystem\n.", "os.system"),
        # OBJ with a class on the stack.
        (b"(cos\nsystem\nS'touch %s'\no.", "os.system"),
        # STACK_GLOBAL with a dotted path into a module that is itself harmless.
        (b"\x80\x04" + text("collections") + text("abc.sys.modules") + b"\x93.", "holds no tensors|: refused: "),
        # An extension code of the copyreg registry.
        (b"\x80\x02\x82\x01.", "damaged"),
        # BUILD on one of the functions that rebuild tensors, to change its defaults for the whole process.
        (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__)s\x86b.",
            "tries to change a function",
        ),
    ],
    ids=["INST", "OBJ", "dotted", "extension", "defaults"],
)
def test_hand_written_programs(program: bytes, message: str, tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    path = tmp_path / "evil.pth"
    zip_around(program.replace(b"%s", str(proof).encode()), path)
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    with pytest.raises(WeightsError, match=message):
        read_state(path)
    assert not proof.exists()
    assert torch._utils._rebuild_tensor_v2.__defaults__ == defaults


def test_views_cannot_reach_beyond_their_storage(tmp_path: Path) -> None:
    good = tmp_path / "good.pth"
    torch.save({"w": torch.arange(4.0), "odd": Setter(1)}, good)
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    main = next(name for name in parts if name.endswith("data.pkl"))
    # The tensor's size, the number 4 after its offset 0, becomes 200.
    assert parts[main].count(b"K\x00K\x04\x85") == 1
    parts[main] = parts[main].replace(b"K\x00K\x04\x85", b"K\x00K\xc8\x85")
    path = tmp_path / "evil.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(WeightsError, match="damaged"):
        read_state(path)


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "deep.pth"
    zip_around(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", path)
    with pytest.raises(WeightsError):
        read_state(path)


def test_foreign_classes_are_never_imported(tmp_path: Path) -> None:
    """A module that leaves a trace when imported is named in the file, and stays unimported."""
    stream = io.BytesIO()
    content = {"state_dict": collections.OrderedDict(w=torch.ones(2)), "meta": Setter(3)}
    torch.save(content, stream, pickle_module=_renaming(pickle))
    path = tmp_path / "mmengine.pth"
    path.write_bytes(stream.getvalue())
    assert list(read_state(path)) == ["w"]
    import sys

    assert "antigravity_config" not in sys.modules


def _renaming(module: Any) -> Any:
    """A pickle module that writes our class as one of a module that does not exist."""

    class Pickler(pickle._Pickler):  # the pure Python one lets a class be written by hand
        def save_type(self, kind: Any) -> None:
            if kind is Setter:
                self.write(b"cantigravity_config\nSetter\n")
                self.memoize(kind)
            else:
                super().save_type(kind)

        dispatch: ClassVar[dict[Any, Any]] = {**pickle._Pickler.dispatch, type: save_type}

    return SimpleNamespace(Pickler=Pickler, dump=module.dump, __name__="renaming")
