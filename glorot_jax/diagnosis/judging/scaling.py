"""From exponents of width to what is wrong, and the power of width that would mend it.

What is wanted is maximal update: in every layer s, and what its update adds to s, neither grow nor
shrink with width (Yang & Hu 2021, section 5), but for a readout, which starts at width^-1/2, or at
0, and has its size of 1 once it is trained. The scores of attention are sums over a head's width
whose terms come to agree, too: they start at its power -1/2 (Yang et al. 2022, section 4). Until
values have moved, dC/d(scores) is such a sum as well, so that gradient descent moves queries and
keys by that power at first; that is no fault either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import xarray as xr

from glorot_jax.theory.parametrizations import PARAMETRIZATIONS, ROLES, Role, growth

SiteRole: TypeAlias = Role | Literal["fixed", "scores", "outputs"]
"""``fixed``: neither fan grows with width. ``scores``: of attention. ``outputs``: the model's."""

MARGIN = 0.25  # half of the way between two exponents that theory knows
PROPORTIONAL, INVARIANT = "proportional", "invariant"
_NEARLY = 0.1  # how near to 0 or 1 an optimizer's response is for either of them
_SUM_STARTS = -0.5  # of a sum that is to be of size 1 once its terms agree


class Exponent(NamedTuple):
    """Of width; ``half`` is the half-width of its 95% interval, NaN where it isn't known."""

    value: float
    half: float

    def differs(self, wanted: float) -> bool:
        """Whether it is nearer to another exponent of theory, and not by chance."""
        away = abs(self.value - wanted)
        return away > MARGIN and not away < self.half

    def is_unclear(self, wanted: float) -> bool:
        """Whether it is nearer to another exponent of theory, but chance may have made it so."""
        return abs(self.value - wanted) > MARGIN and not self.differs(wanted)

    def is_close(self, wanted: float) -> bool:
        """Whether its interval reaches to where ``wanted`` would be the nearer one."""
        return abs(self.value - wanted) - self.half < MARGIN

    def __str__(self) -> str:
        """As a sentence has it."""
        half = "" if isnan(self.half) else f"±{self.half:.2f}"
        return f"width^{self.value:.2f}{half}"


@dataclass(frozen=True)
class SiteGrowth:
    """The exponents of one row.

    ``start``: of std(s); ``gain``: of std(s) over rms(z), both at the start. ``update``: of what
    the kernel's own change adds to s, after ``step`` updates, the first at which there is any.
    ``change``: of s less s at the start, after the last update. ``like``: the parametrisations
    in which such a layer has these exponents. ``wanted``: what muP wants ``gain`` to be, or less;
    ``least``: what it allows ``update`` to be at first, short of 0.
    """

    site: str
    role: SiteRole
    start: Exponent
    gain: Exponent
    update: Exponent
    step: int
    change: Exponent
    like: tuple[str, ...]
    wanted: float
    least: float = 0.0

    @property
    def unclear(self) -> bool:
        """Whether more seeds are needed to say what is wrong, if anything."""
        starts_large = self.role != "outputs" and self.gain.value > self.wanted
        return (
            (starts_large and self.gain.is_unclear(self.wanted))
            or self.update.is_unclear(self.allowed(self.update.value))
            or self.change.is_unclear(self.allowed(self.change.value))
        )

    def allowed(self, exponent: float) -> float:
        """The nearest one that is no fault of an update."""
        return min(max(exponent, self.least), 0.0)


@dataclass(frozen=True)
class Fault:
    """What grows or shrinks that shouldn't.

    ``kind``: ``initial scale``, ``learning rate``, or ``change`` where neither explains it.
    ``power``: the cure multiplies the scale or rate by width to it; NaN where no power is known.
    """

    site: str
    kind: Literal["initial scale", "learning rate", "change"]
    exponent: Exponent
    wanted: float
    power: float
    text: str
    cure: str

    def __str__(self) -> str:
        """One line."""
        close = " (a close call: wider nets or more seeds)"
        unsure = close if self.exponent.is_close(self.wanted) else ""
        return f"{self.site}: {self.text}: {self.cure}{unsure}"


def role_of(fans_in: Sequence[int], fans_out: Sequence[int], widths: Sequence[int]) -> SiteRole:
    """Which fans of a kernel grow, over ``widths``."""
    grown = np.log(widths[-1] / widths[0])
    takes, gives = (np.log(fans[-1] / fans[0]) / grown > MARGIN for fans in (fans_in, fans_out))
    if takes:
        return "hidden" if gives else "output"
    return "input" if gives else "fixed"


def wanted_start(role: SiteRole, scores: Sequence[int], widths: Sequence[int]) -> float:
    """The exponent at the start that muP has; of ``scores``, by how many of them each width has.

    More scores are more heads; by what their number doesn't grow, each head is wider.
    """
    if role == "scores":
        heads = np.log(scores[-1] / scores[0]) / np.log(widths[-1] / widths[0])
        return float(_SUM_STARTS * (1 - heads))
    return _SUM_STARTS if role in ("output", "outputs") else 0.0


def response_of(measured: np.ndarray) -> str:
    """Whether an optimizer is ``proportional``, ``invariant`` or neither, "", as ``Response``."""
    typical = float(np.nanmedian(measured)) if np.isfinite(measured).any() else np.nan
    if abs(typical) < _NEARLY:
        return INVARIANT
    return PROPORTIONAL if abs(typical - 1) < _NEARLY else ""


def site_growths(data: xr.Dataset) -> tuple[SiteGrowth, ...]:
    """The rows of the ``data`` of a coordinate check."""
    return tuple(_growth(data, row) for row in range(data.sizes["site"]))


def _growth(data: xr.Dataset, row: int) -> SiteGrowth:
    def exponent(name: str, *at: int) -> Exponent:
        means, halves = data[f"{name}_exponent"].values, data[f"{name}_exponent_half"].values
        return Exponent(float(means[(*at, row)]), float(halves[(*at, row)]))

    known = np.flatnonzero(np.isfinite(data.update_exponent.values[:, row]))
    step = int(known[0]) if known.size else 0
    role, response = str(data.role.values[row]), str(data.attrs["response"])
    start, gain = exponent("s", 0), exponent("gain")
    gain = start if isnan(gain.value) else gain
    update = exponent("update", step) if known.size else Exponent(np.nan, np.nan)
    slow = bool(data.feeds_scores.values[row]) or role == "scores"
    return SiteGrowth(
        str(data.site.values[row]),
        role,  # type: ignore[arg-type]
        start,
        gain,
        update,
        step,
        exponent("change", -1),
        tuple(name for name in PARAMETRIZATIONS if _is_like(name, role, response, gain, update)),
        float(data.wanted.values[row]),
        _SUM_STARTS if slow and response == PROPORTIONAL else 0.0,
    )


def _is_like(name: str, role: str, response: str, gain: Exponent, update: Exponent) -> bool:
    if not response or role not in ROLES or isnan(update.value):
        return False
    expected = growth(PARAMETRIZATIONS[name], role, response)  # type: ignore[arg-type]
    pairs = ((gain, expected.start), (update, expected.update))
    return not any(abs(one.value - wanted) > MARGIN for one, wanted in pairs)


def find_faults(sites: Sequence[SiteGrowth], response: str) -> tuple[Fault, ...]:
    """What is wrong, in the order of the program; nothing where all is level.

    A learning rate's power takes into account that initial scales are mended too: what a site is
    fed with no longer grows then, and below a readout gradients change, and with a ``proportional``
    optimizer updates. Where hidden layers start at fault, how gradients will change isn't known: of
    a ``proportional`` optimizer no power is given then.
    """
    starts = [fault for site in sites if (fault := _initial_scale(site))]
    roles = {site.site: site.role for site in sites}
    hidden = any(roles[fault.site] in ("input", "hidden") for fault in starts)
    readouts = [fault for fault in starts if roles[fault.site] == "output"]
    mended = max(readouts, key=lambda fault: -fault.power, default=None)
    if response != PROPORTIONAL:
        mended = None
    if hidden and response == PROPORTIONAL:
        rates = [fault for site in sites if (fault := _rate_to_come(site))]
    else:
        rates = [fault for site in sites if (fault := _learning_rate(site, mended, hidden))]
    if starts or rates:
        order = list(roles)
        return tuple(sorted([*starts, *rates], key=lambda fault: order.index(fault.site)))
    return tuple(
        _left_over(site) for site in sites if site.change.differs(site.allowed(site.change.value))
    )


def _initial_scale(site: SiteGrowth) -> Fault | None:
    wanted = round(site.wanted, 2)
    away = site.gain.value - wanted
    if site.role == "outputs" or not site.gain.differs(wanted):
        return None
    if site.role in ("output", "scores") and away < 0:
        return None
    power = -_rounded(away)
    what = "std" if site.role == "scores" else "std(s) over rms(z)"
    whose = "the scores" if site.role == "scores" else "the kernel's initial standard deviation"
    text = f"{what} {goes(site.gain)} at the start; muP wants {wanted:g}"
    cure = _filled(f"{_by(power)} {whose}", power)
    if site.role == "scores" and power == _SUM_STARTS:
        cure += " more: by a head's width, in place of its root"
    return Fault(site.site, "initial scale", site.gain, wanted, power, text, cure)


def _rate_to_come(site: SiteGrowth) -> Fault | None:
    """An update that grows, where initial scales have to be mended before its rate is known."""
    if isnan(site.update.value) or not site.update.differs(site.allowed(site.update.value)):
        return None
    return Fault(
        site.site,
        "learning rate",
        site.update,
        0.0,
        float("nan"),
        f"its update {goes(site.update)}; muP wants 0",
        "check again once the initial scales are mended, because gradients change with them",
    )


def _learning_rate(site: SiteGrowth, readout: Fault | None, hidden: bool) -> Fault | None:
    """``readout``: what is to be mended above, with which gradients below it change. ``hidden``:
    whether the initial scale of layers is, with which what the site is fed with no longer grows.
    """
    if isnan(site.update.value):
        return None
    fed = _rounded(site.start.value - site.gain.value) if hidden else 0.0
    below = readout is not None and site.role in ("input", "hidden") and site.step == 1
    then = readout.power if readout is not None and below else 0.0
    differs = site.update.differs(site.allowed(site.update.value))
    after = then + (_rounded(site.update.value - fed) if differs else 0.0)
    power = site.allowed(after) - after
    if not differs and not power:
        return None
    text = f"its update {goes(site.update)}; muP wants 0"
    if not power:
        smaller = "what it is fed with" if readout is None else readout.site
        cure = f"it will, once {smaller} starts smaller"
    else:
        cure = _filled(f"{_by(power)} its learning rate", power)
        cure += f", as {readout.site} starts smaller" if readout is not None and below else ""
        cure += ", as what it is fed with starts smaller" if fed else ""
    return Fault(site.site, "learning rate", site.update, 0.0, power, text, cure)


def _left_over(site: SiteGrowth) -> Fault:
    text = f"its change after the last update {goes(site.change)}; muP wants 0"
    cure = (
        "no kernel's first update does that: a smaller learning rate, or what isn't a site "
        "(biases, gains, scores of attention, sums over units)"
    )
    return Fault(site.site, "change", site.change, 0.0, float("nan"), text, cure)


def goes(exponent: Exponent) -> str:
    """What a size with this exponent does."""
    if not exponent.differs(0):
        return f"stays level ({exponent})"
    return f"{'grows' if exponent.value > 0 else 'shrinks'} as {exponent}"


def _rounded(exponent: float) -> float:
    """To the nearest exponent that theory knows: a multiple of a half."""
    return round(2 * exponent) / 2


def _by(power: float) -> str:
    return "multiply" if power > 0 else "divide"


def _filled(cure: str, power: float) -> str:
    size = abs(power)
    factor = {0.5: "sqrt(width)", 1.0: "width"}.get(size, f"width^{size:g}")
    return f"{cure} by {factor}"
