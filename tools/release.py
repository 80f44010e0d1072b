"""Walks through what a version needs: `python -m tools.release`, or `--list`, or `--from NAME`.

Each step is a command with a status; the first that fails ends it and says what to do. Nothing is
published: the last lines say what a person does then.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Step:
    """One thing that must hold.

    Attributes:
        name: For ``--from``.
        what: A sentence.
        check: Returns what is wrong, ``""`` if nothing.
    """

    name: str
    what: str
    check: Callable[[], str]


def _version() -> str:
    text = (ROOT / "pyproject.toml").read_text()
    found = re.search(r'^version = "([^"]+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def _command(*command: str) -> Callable[[], str]:
    def check() -> str:
        status = subprocess.run(command, cwd=ROOT).returncode
        return f"{' '.join(command)} ended with {status}" if status else ""

    return check


def _python(*arguments: str) -> Callable[[], str]:
    return _command(sys.executable, *arguments)


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _clean() -> str:
    changed = _output("git", "status", "--porcelain")
    return f"not committed:\n{changed}" if changed else ""


def _changelog() -> str:
    """The newest heading is this version, with a day."""
    version = _version()
    first = next(
        line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    )
    if not first.startswith(f"## {version}"):
        return f"CHANGELOG begins with {first!r}, pyproject.toml says {version}"
    if not re.fullmatch(rf"## {re.escape(version)}, \d{{4}}-\d\d-\d\d", first):
        return f"{first!r} must end with the day, as in '## {version}, 2026-01-31'"
    return ""


def _tag() -> str:
    tag = f"v{_version()}"
    there = _output("git", "tag", "--list", tag)
    return f"the tag {tag} is there already: raise the version" if there else ""


def _wheels() -> str:
    out = ROOT / "dist"
    old = [path.name for path in out.glob("*") if f"-{_version()}" not in path.name]
    if old:
        return f"dist/ has files of other versions: {', '.join(old)}"
    return _python("-m", "tools.wheels", "--out", "dist", "--twice")()


STEPS = (
    Step("clean", "Everything is committed.", _clean),
    Step("tag", "The version is new.", _tag),
    Step(
        "changelog",
        "CHANGELOG has the version, its day, and a part Bits if they change.",
        _changelog,
    ),
    Step("ci", "The clean clone passes.", _command("bash", ".ci/run")),
    Step(
        "stubs",
        "The interface of the module is the committed one.",
        _python("tools/stubs.py", "--check"),
    ),
    Step("docs", "The pages build without a warning.", _python("-m", "tools.docs")),
    Step(
        "sanitizers", "No sanitizer finds anything.", _python("-m", "tools.sanitizers", "address")
    ),
    Step("races", "Nor does the thread sanitizer.", _python("-m", "tools.sanitizers", "thread")),
    Step(
        "source",
        "The source distribution builds.",
        _python("-m", "build", "--sdist", "--outdir", "dist"),
    ),
    Step("wheels", "Wheels build twice to one hash, and each is tried.", _wheels),
)


def main() -> int:
    """Returns 1 at the first step that does not hold."""
    parser = argparse.ArgumentParser("python -m tools.release")
    parser.add_argument("--list", action="store_true", help="what there is, without doing it")
    parser.add_argument(
        "--from", dest="first", default=STEPS[0].name, choices=[each.name for each in STEPS]
    )
    chosen = parser.parse_args()
    names = [each.name for each in STEPS]
    for each in STEPS[names.index(chosen.first) :]:
        print(f"=== {each.name}: {each.what}", flush=True)
        if chosen.list:
            continue
        wrong = each.check()
        if wrong:
            print(f"{wrong}\nThen go on with: python -m tools.release --from {each.name}")
            return 1
    if not chosen.list:
        print(
            f"Left for a person: git tag v{_version()}; upload what lies in dist/; put the pages "
            "of docs/_build online; open the next version in CHANGELOG."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
