"""``python -m tusa``: the command under launchers that start modules, such as ``torchrun``."""

from tusa.cli import main

main()
