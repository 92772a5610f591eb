"""``usbench doctor``: is this installation sound, and where does it look?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from usbench.core.settings import Settings

app = typer.Typer()


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: Its kind.
        detail: What was found.
        ok: Whether nothing has to be fixed.
        ready: Whether it can be used now; what is optional may be absent without a fault.
    """

    what: str
    detail: str
    ok: bool = True
    ready: bool = True


@app.command()
def doctor(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List everything that was checked.")] = False,
) -> None:
    """Check the installation, the places and the device; exit status 1 when something has to be fixed.

    Shows what is wrong, and the rest in brief; -v lists all.
    """
    from usbench.core.settings import load_settings

    checks = list(_checks(load_settings()))
    faults = [check for check in checks if not check.ok]
    for check in checks if verbose else faults:
        typer.echo(f"{'ok  ' if check.ok else 'FIX '}  {check.what:<16} {check.detail}")
    if not verbose:
        for line in _in_brief([check for check in checks if check.ok]):
            typer.echo(f"ok    {line}")
    if faults:
        typer.echo(f"{len(faults)} to fix: see the lines that begin with FIX.", err=True)
        raise typer.Exit(1)
    if not verbose:
        typer.echo("Nothing has to be fixed. `usbench doctor -v` lists everything.")


def _in_brief(checks: list[Check]) -> Iterator[str]:
    """Say in one line per kind what was found to be sound."""
    kinds = dict.fromkeys(check.what for check in checks)
    for kind in kinds:
        mine = [check for check in checks if check.what == kind]
        ready = sum(check.ready for check in mine)
        if len(mine) == 1:
            yield f"{kind:<16} {mine[0].detail}"
        elif kind in ("dataset", "task", "encoder"):
            yield f"{kind + 's':<16} {ready} of {len(mine)} ready to use; `usbench list {kind}s` says which"
        else:
            yield f"{kind + 's':<16} {len(mine)}"


def _checks(settings: Settings) -> Iterator[Check]:
    import platform
    from pathlib import Path

    from usbench.core import provenance
    from usbench.plugins.catalog import DATASETS, ENCODERS, TASKS, load_encoder, load_task
    from usbench.plugins.data_sources import provision_of, where_is

    yield Check("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name, version in provenance.package_versions().items():
        yield Check("package", f"{name} {version}")
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device; the CPU is used"
    yield Check("device", f"{device}; {torch.get_num_threads()} threads")
    there = "" if settings.config_file.exists() else " (not there; defaults)"
    yield Check("configuration", f"{settings.config_file}{there}")
    yield _store(settings)
    for root in settings.data_roots:
        found = Path(root).is_dir()
        yield Check("data root", f"{root}{'' if found else ': no such folder'}", found)
    for key, path in (settings.data | settings.weights).items():
        gone = "" if path.exists() else " is gone; register it again"
        yield Check("registered", f"{key}: {path}{gone}", path.exists())
    for name in (n for n in DATASETS.names() if not n.endswith(":")):
        where = where_is(name, settings)
        yield Check("dataset", f"{name}: {where or 'not found (optional)'}", ready=where is not None)
    for name in TASKS.names():
        provision = provision_of(load_task(name), settings)
        yield Check("task", f"{name}: {provision}", ready=not provision.startswith("no data"))
    for name in (n for n in ENCODERS.names() if not n.endswith(":")):
        ready = load_encoder(name).readiness().ready
        yield Check("encoder", f"{name}: {'ready' if ready else 'no weights (optional)'}", ready=ready)


def _store(settings: Settings) -> Check:
    import shutil
    import tempfile

    from usbench.core.atomic_files import atomic_write
    from usbench.core.object_store import is_remote
    from usbench.errors import StoreError

    try:
        if is_remote(store := settings.store_dir):
            atomic_write(store / ".probe", b"")
            (store / ".probe").unlink()
            return Check("store", f"{store}, writable")
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store):
            free = shutil.disk_usage(store).free / 1e9
            return Check("store", f"{store}, {free:.0f} GB free", free > 1)
    except StoreError as error:
        return Check("store", str(error), False)
    except OSError as error:
        return Check("store", f"{settings.store_dir}: not writable ({error.strerror}); set USBENCH_CACHE", False)
