"""Names as a table and a sentence can hold them; the data keep the whole paths."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONGEST = 40  # characters of a name in a sentence
_ELLIPSIS = "…"
_STEP = re.compile(r"\[[\d, ]*\]$")


@dataclass(frozen=True)
class Names:
    """What to call the labels of a report: without ``prefix``, which all share.

    ``shorter``: what stands for a name, its prefix cut, that is too long.
    """

    prefix: str
    shorter: tuple[tuple[str, str], ...]

    def cut(self, label: str) -> str:
        """``label`` without the prefix, in each of the paths that it is fused of."""
        if not self.prefix:
            return label
        return re.sub(rf"(?<![\w/.]){re.escape(self.prefix)}(?=[\w.])", "", label)

    def in_words(self, text: str) -> str:
        """A sentence with the names in it cut and shortened."""
        text = self.cut(text)
        for name, short in self.shorter:
            text = text.replace(name, short)
        return text


def names_of(labels: Sequence[str]) -> Names:
    """The shared prefix of ``labels``, paths joined by ``+``, and what is too long in a sentence.

    >>> names_of(["params/a/kernel", "params/b/kernel"]).cut("params/b/kernel")
    'b/kernel'
    """
    names = Names(_prefix(labels), ())
    plain = {_STEP.sub("", names.cut(label)) for label in labels}
    long = sorted((name for name in plain if len(name) > LONGEST), key=len, reverse=True)
    return Names(names.prefix, tuple(zip(long, shortened_all(long, LONGEST), strict=True)))


def _prefix(labels: Iterable[str]) -> str:
    plain = (_STEP.sub("", label) for label in labels)
    paths = [path.split("/") for path in {part for one in plain for part in one.split("+")}]
    if not paths:
        return ""
    # A path that is alone keeps its last two parts: "kernel" would say nothing.
    most = min(len(path) for path in paths) - (2 if len(paths) == 1 else 1)
    shared = 0
    while shared < most and len({path[shared] for path in paths}) == 1:
        shared += 1
    # "layers/0/w" is not "0/w".
    while shared and any(path[shared][:1].isdigit() for path in paths):
        shared -= 1
    return "".join(f"{part}/" for part in paths[0][:shared])


def shortened(name: str, longest: int) -> str:
    """``name`` with an ellipsis in its middle where it is longer than ``longest`` characters."""
    if len(name) <= longest:
        return name
    head = (longest - 1) // 2
    return name[:head] + _ELLIPSIS + name[len(name) - (longest - 1 - head) :]


def shortened_all(names: Sequence[str], longest: int) -> list[str]:
    """Each of ``names`` shortened, as it is where two would become the same."""
    short = [shortened(name, longest) for name in names]
    return [
        one if short.count(one) == names.count(name) else name
        for one, name in zip(short, names, strict=True)
    ]
