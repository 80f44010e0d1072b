"""Links within built pages: each must lead to a file, and a part of it, that is there."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """The places that a page has, and those that it leads to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


def dead_links(folder: Path) -> list[str]:
    """A line for each link of the pages in ``folder`` to what is not there."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    dead = []
    for path, page in sorted(pages.items()):
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not there.is_file():
                dead.append(f"{path.relative_to(folder)}: {target} leads to no file")
            elif place and there in pages and place not in pages[there].places:
                dead.append(f"{path.relative_to(folder)}: {target} leads to no part of the page")
    return dead


def outside(folder: Path) -> list[str]:
    """What pages load from elsewhere: a script, a style, a picture or a font."""
    found = []
    for path in sorted(folder.rglob("*.html")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if ("<script" in line or "<link" in line or "<img" in line) and "//" in line:
                loads = [part for part in line.split('"') if part.startswith(("http", "//"))]
                found += [f"{path.relative_to(folder)}: {each}" for each in loads]
    return found
