# SPDX-License-Identifier: Apache-2.0
"""A page taken apart by the standard library's parser."""

from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """A page taken apart; refuses what is not balanced."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.path = path
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self._open == [], path

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        # What ends in "/>", as in SVG, arrives through handle_startendtag and here too.
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            assert self._open.pop() == tag, (self.path, self.getpos())
        elif tag not in VOID and self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, name: str) -> list[str]:
        """Return the values of an attribute."""
        return [given[name] or "" for _, given in self.tags if name in given]

    def row(self, start: str, table: int = 0) -> str:
        """Return the words of the row whose first cell begins so."""
        (found,) = [each for each in self.tables[table] if each[0].strip().startswith(start)]
        return " ".join(" ".join(found).split())
