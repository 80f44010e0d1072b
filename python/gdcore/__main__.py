"""``python -m gdcore`` is the command ``gdcore``."""

from gdcore.cli import main

main()
