"""``python -m usbench``."""

from usbench.cli import main

main()
