"""The blocks of a Markdown page, and how they are run.

A page's ``python`` blocks run in order in one namespace, its ``bash`` blocks between them, all in
one folder of their own. A ``text`` block right below one of these is what it prints, ``...``
standing for anything, and is compared but for where its lines break. Comments, which readers do
not see, say what differs:

    <!-- run first: CODE -->         Python that makes what the page's blocks take for granted
    <!-- not run: WHY -->            the next block cannot run here
    <!-- output varies: WHY -->      the next text block is an example of what is printed
    <!-- fails: WHY -->              the next block's command ends with 2; its message is compared
    <!-- needs: MODULE, MODULE -->   the page is skipped where one of these is missing
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import ROOT

_PART = re.compile(
    r"^<!-- (?P<mark>[a-z ]+):\s(?P<words>.*?)-->$"
    r"|^(?P<indent> *)(?P<fence>`{3,})(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$",
    re.MULTILINE | re.DOTALL,
)
MARKS = ("run first", "not run", "output varies", "fails", "needs", "generated")


@dataclass
class Block:
    kind: str
    text: str
    line: int
    why_not: str = ""
    output: str | None = None
    varies: bool = False
    fails: bool = False


def blocks(page: str) -> list[Block]:
    """All fenced blocks and hidden code, in order, outputs with what prints them."""
    found: list[Block] = []
    mark, words, end = "", "", 0
    for part in _PART.finditer(page):
        line = page.count("\n", 0, part.start()) + 1
        if part["mark"]:
            if part["mark"] not in MARKS:
                raise ValueError(f"line {line}: no such mark: {part['mark']!r}")
            mark, words = part["mark"], part["words"].strip()
            if mark == "run first":
                found.append(Block("python", words, line))
                mark = ""
            continue
        kind, text = (
            part["kind"].strip(),
            re.sub(rf"^{part['indent']}", "", part["text"], flags=re.M),
        )
        between = re.sub(r"<!--.*?-->", "", page[end : part.start()], flags=re.DOTALL).strip()
        if kind == "text" and found and not between and found[-1].kind in ("python", "bash"):
            found[-1].output, found[-1].varies = text, mark == "output varies"
        else:
            found.append(Block(kind, text, line, words if mark == "not run" else ""))
            found[-1].fails = mark == "fails"
        mark, end = "", part.end()
    return found


def needed(page: str) -> list[str]:
    """The modules without which a page cannot run."""
    return [
        name.strip()
        for part in re.findall(r"^<!-- needs: (.*?)-->$", page, re.MULTILINE)
        for name in part.split(",")
    ]


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_page(path: Path, folder: Path) -> None:
    """Runs a page's blocks within ``folder``; AssertionError where one prints something else."""
    space: dict[str, Any] = {"__name__": "__main__"}
    name = path.relative_to(ROOT)
    with _within(folder):
        for block in blocks(path.read_text(encoding="utf-8")):
            if block.why_not or block.kind not in ("python", "bash"):
                continue
            where = f"{name}, line {block.line}"
            try:
                printed = _python(block, where, space) if block.kind == "python" else _bash(block)
            except Exception as error:
                raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
            if block.output is not None and not block.varies:
                _compare(where, block.output, printed)


def _python(block: Block, where: str, space: dict[str, Any]) -> str:
    out = io.StringIO()
    # Lines of a traceback are those of the page.
    code = compile("\n" * block.line + block.text, where, "exec")
    with contextlib.redirect_stdout(out):
        exec(code, space)
    return out.getvalue()


def _bash(block: Block) -> str:
    """Commands of gdcore run within this process: a new one takes a second to load its packages."""
    text = re.sub(r"\\\n\s*", "", block.text)
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    if all(not line or (line[0] == "gdcore" and not {"|", ">"} & {*line}) for line in lines):
        from command_line import done, run

        if not block.fails:
            return "".join(done(*line[1:]).stdout for line in lines if line)
        (line,) = lines
        result = run(*line[1:])
        assert (result.exit_code, result.stdout) == (2, ""), result.stdout + result.stderr
        return str(result.stderr)
    programs = Path(".programs")
    programs.mkdir(exist_ok=True)
    (programs / "gdcore").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gdcore "$@"\n')
    (programs / "gdcore").chmod(0o755)
    path = os.pathsep.join(
        [str(programs.resolve()), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    result = subprocess.run(
        ["bash", "-e", "-c", block.text], capture_output=True, text=True,
        env=os.environ | {"PATH": path, "COLUMNS": "100"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _compare(where: str, expected: str, printed: str) -> None:
    def tidy(text: str) -> str:
        return "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())

    checker = doctest.OutputChecker()
    expected, printed = tidy(expected), tidy(printed)
    if not checker.check_output(expected, printed, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE):
        raise AssertionError(f"{where} prints\n{printed}\nand not\n{expected}")
