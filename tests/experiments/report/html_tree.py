"""An HTML page as a tree, strict about nesting."""

import html.parser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

VOID = {"meta", "img", "br", "hr", "link", "input"}


@dataclass
class Element:
    """A tag with its attributes and what is inside it, elements and texts."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    inside: list["Element | str"] = field(default_factory=list)

    def all(self, tag: str = "", **attributes: str) -> list["Element"]:
        """Every element below with that tag and those attributes, ``class_`` among its classes."""
        return [one for one in self._below() if one._is(tag, attributes)]

    def one(self, tag: str = "", **attributes: str) -> "Element":
        """The only element of that kind."""
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All text inside, white space as one."""
        parts = [one if isinstance(one, str) else one.text for one in self.inside]
        return " ".join(" ".join(parts).split())

    @property
    def elements(self) -> list["Element"]:
        """The elements directly inside."""
        return [one for one in self.inside if isinstance(one, Element)]

    def _below(self) -> Iterator["Element"]:
        for one in self.elements:
            yield one
            yield from one._below()

    def _is(self, tag: str, attributes: dict[str, str]) -> bool:
        classes = self.attributes.get("class", "").split()
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        named = wanted.pop("class-", None)
        return (
            (not tag or self.tag == tag)
            and (named is None or named in classes)
            and all(self.attributes.get(name) == value for name, value in wanted.items())
        )


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def read(path: Path) -> Element:
    """The page in ``path``; every tag in it must be closed where it should."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert len(reader.open) == 1
    return reader.open[0]
