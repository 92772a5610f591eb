"""Printing a page to PDF with the Chromium of the machine, where there is one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from usbench.errors import UsbenchError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
TIMEOUT_S = 120


def print_pdf(html: str, target: Path) -> None:
    """Print one self-contained page.

    Args:
        html: The page.
        target: The PDF file.

    Raises:
        UsbenchError: No browser is installed, or it failed.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise UsbenchError(
            f"{target}: printing a PDF needs Chromium or Chrome, and none is installed. Write HTML instead "
            f"(--out {target.with_suffix('.html')}) and print it from any browser."
        )
    with tempfile.TemporaryDirectory() as folder:
        page, pdf = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_text(html, "utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile"]
        command += ["--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri()]
        try:
            subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise UsbenchError(f"{target}: {browser} could not print the report ({type(error).__name__}).") from None
        if not pdf.is_file():
            raise UsbenchError(f"{target}: {browser} wrote no PDF. Write HTML instead and print it from any browser.")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pdf, target)
