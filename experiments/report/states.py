"""How each state of a claim looks: a sign and a word beside the colour, so that none is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from experiments.claims.verdict import STATUSES


@dataclass(frozen=True)
class State:
    """The look of a state.

    Attributes:
      style: its class in the page's style sheet.
      many: the word after a number of claims other than one.
      light, dark: its colour on the page's light and on its dark background.
    """

    sign: str
    style: str
    many: str
    light: str
    dark: str


# What a reader should see first stands first.
_LOOKS: Mapping[str, State] = MappingProxyType(
    {
        "contradicted": State("✗", "contradicted", "are contradicted", "#a8231c", "#ff9a90"),
        "undecided": State("?", "undecided", "are undecided", "#7a5200", "#f0bd55"),
        "holds": State("✓", "holds", "hold", "#1a5fb4", "#8fc1ff"),
        "not tested": State("○", "untested", "are not tested", "#565c64", "#a9afb7"),
    }
)
ORDER = tuple(status for status in _LOOKS if status in STATUSES)
STATES: Mapping[str, State] = MappingProxyType({status: _LOOKS[status] for status in STATUSES})


def counted(status: str, count: int) -> str:
    """``3 hold``, ``1 holds``: a number of claims and what they do."""
    one = status if status.endswith("s") else f"is {status}"
    return f"{count} {one if count == 1 else STATES[status].many}"
