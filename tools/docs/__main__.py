"""Builds the documentation: ``python -m tools.docs``, then open docs/_build/html/index.html.

A warning ends it with status 1: a dead link, a page that nothing leads to, a docstring that cannot
be read. It needs the dependency group ``docs`` and an installed gdcore, and no network.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from tools.docs.links import dead_links

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "_build", help="where to")
    out = parser.parse_args().out
    try:
        from sphinx.cmd.build import build_main
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: python -m pip install --group docs", file=sys.stderr)
        return 2
    begin = time.perf_counter()
    shutil.rmtree(out, ignore_errors=True)
    html = out / "html"
    arguments = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(out / "doctrees")]
    if status := build_main([*arguments, str(ROOT / "docs"), str(html)]):
        return int(status)
    dead = dead_links(html)
    print(*dead, sep="\n", end="\n" if dead else "", file=sys.stderr)
    print(f"{html / 'index.html'}, {time.perf_counter() - begin:.0f} s")
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main())
