"""``usbench doctor``: is this installation sound, and where does it look?"""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def doctor() -> None:
    """Check the installation, the places and the device; exit status 1 when something has to be fixed."""
    import platform
    import shutil
    import tempfile
    from pathlib import Path

    from usbench.core import provenance
    from usbench.core.atomic_files import atomic_write
    from usbench.core.object_store import is_remote
    from usbench.core.settings import load_settings
    from usbench.errors import StoreError
    from usbench.plugins.catalog import DATASETS, ENCODERS, TASKS, load_encoder, load_task
    from usbench.plugins.data_sources import provision_of, where_is

    settings = load_settings()
    problems = 0

    def line(ok: bool, what: str, detail: str) -> None:
        nonlocal problems
        problems += not ok
        typer.echo(f"{'ok  ' if ok else 'FIX '}  {what:<16} {detail}")

    line(True, "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name, version in provenance.package_versions().items():
        line(True, "package", f"{name} {version}")
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device; the CPU is used"
    line(True, "device", f"{device}; {torch.get_num_threads()} threads")
    line(
        True,
        "configuration",
        f"{settings.config_file}{'' if settings.config_file.exists() else ' (not there; defaults)'}",
    )
    try:
        if is_remote(store := settings.store_dir):
            atomic_write(store / ".probe", b"")
            (store / ".probe").unlink()
            line(True, "store", f"{store}, writable")
        else:
            store.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=store):
                free = shutil.disk_usage(store).free / 1e9
            line(free > 1, "store", f"{store}, {free:.0f} GB free")
    except StoreError as error:
        line(False, "store", str(error))
    except OSError as error:
        line(False, "store", f"{settings.store_dir}: not writable ({error.strerror}); set USBENCH_CACHE")
    for root in settings.data_roots:
        line(Path(root).is_dir(), "data root", f"{root}{'' if Path(root).is_dir() else ': no such folder'}")
    for key, path in (settings.data | settings.weights).items():
        line(
            path.exists(),
            "registered",
            f"{key}: {path}{'' if path.exists() else ' is gone; register it again'}",
        )
    for name in (n for n in DATASETS.names() if not n.endswith(":")):
        line(True, "dataset", f"{name}: {where_is(name, settings) or 'not found (optional)'}")
    for name in TASKS.names():
        line(True, "task", f"{name}: {provision_of(load_task(name), settings)}")
    for name in (n for n in ENCODERS.names() if not n.endswith(":")):
        ready = load_encoder(name).readiness().ready
        line(True, "encoder", f"{name}: {'ready' if ready else 'no weights (optional)'}")
    if problems:
        raise typer.Exit(1)
