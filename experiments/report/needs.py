"""What each claim needs: its verdict at every length and width that several runs reached."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from experiments.claims import CLAIMS, Status, Verdict
from experiments.data.registry import SHAPESET
from experiments.results import schema
from glorot_jax.plotting import STYLE, WIDTH

KEPT = "needs.json"
LENGTHS = 8  # at which a run is judged, each half of the next
LEAST_POINTS = 3  # of a run that is cut, or there is no course to judge
COLUMNS, PANEL_HEIGHT = 2, 2.1
SIGNS: Mapping[Status, str] = {"holds": "o", "contradicted": "X", "undecided": "|"}
COLOURS = ("#7b5aa6", "#0072b2", "#b35900", "#000000", "#1b7837")


@dataclass(frozen=True)
class Judged:
    """A claim's verdict on the first ``updates`` of a run of networks of ``width`` units.

    ``estimate``: (mean, low, high) of the number that decides, None where nothing is decided by
    one; ``bounds``: what it is claimed to be above or below.
    """

    width: int
    updates: int
    status: Status
    estimate: tuple[float, float, float] | None
    bounds: tuple[float, ...]

    @classmethod
    def of(cls, width: int, updates: int, verdict: Verdict) -> "Judged":
        names = ("claimed above", "claimed below")
        known = (verdict.numbers.get(name) for name in names)
        bounds = tuple(float(bound) for bound in known if isinstance(bound, float))
        return cls(width, updates, verdict.status, _estimate(verdict), bounds)


def _estimate(verdict: Verdict) -> tuple[float, float, float] | None:
    if verdict.status == "not tested":
        return None
    for value in verdict.numbers.values():
        if isinstance(value, Mapping) and {"mean", "low", "high"} <= set(value):
            return float(value["mean"]), float(value["low"]), float(value["high"])
    return None


Needs: TypeAlias = Mapping[str, Sequence[Judged]]  # by claim


def cut(group: xr.Dataset, points: int, /) -> xr.Dataset:
    """The first ``points`` measurements of a group of trained networks, at the rates it chose.

    The rates are those of the whole run: what a shorter run would have chosen isn't known.
    """
    shorter = group.isel(update=slice(0, points))
    rates = group["learning_rate"].values
    final = np.full(group["final_test_error"].shape, np.nan)
    for row, chosen in enumerate(group["chosen_learning_rate"].values):
        if np.isfinite(chosen):
            place = int(np.argmin(np.abs(rates - chosen)))
            final[row] = shorter["test_error"].values[row, place, :, -1]
    # Which examples were wrong is known of the end alone.
    return shorter.drop_vars("final_test_wrong", errors="ignore").assign(
        final_test_error=(group["final_test_error"].dims, final)
    )


def needs(group: xr.Dataset, /) -> Needs:
    """By claim, its verdict on ``group`` cut at ``LENGTHS`` lengths, the last the whole."""
    done, width = group["update"].values, int(group.attrs["width"])
    wanted = [done[-1] / 2**halvings for halvings in range(LENGTHS)]
    places = sorted({int(np.searchsorted(done, updates)) for updates in wanted})
    lengths = {
        int(done[place]): schema.build({SHAPESET: cut(group, place + 1)}, {})
        for place in places
        if place + 1 >= LEAST_POINTS
    }
    return {
        claim.id: [
            Judged.of(width, updates, claim.test(results)) for updates, results in lengths.items()
        ]
        for claim in CLAIMS
    }


def together(parts: Iterable[Needs], /) -> Needs:
    """What is judged in all ``parts``, of other widths or of lengths that others don't have."""
    every: dict[str, list[Judged]] = {}
    for part in parts:
        for claim, ones in part.items():
            every.setdefault(claim, []).extend(ones)
    return every


def changing(every: Needs, /) -> Needs:
    """Without claims whose verdict never changes, and those that no interval decides."""
    return {
        claim: ones
        for claim, ones in every.items()
        if len({one.status for one in ones}) > 1 and any(one.estimate for one in ones)
    }


def as_json(every: Needs, /) -> str:
    """What ``from_json`` reads: a run whose results are gone can still be drawn."""
    return json.dumps({claim: [asdict(one) for one in ones] for claim, ones in every.items()})


def from_json(text: str, /) -> Needs:
    """What ``as_json`` wrote.

    Raises:
      ValueError: it is something else.
    """
    try:
        return {claim: [_judged(one) for one in ones] for claim, ones in json.loads(text).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not what was judged at several lengths ({error!r})") from error


def _judged(one: Mapping[str, Any]) -> Judged:
    estimate = one["estimate"] and tuple(one["estimate"])
    return Judged(one["width"], one["updates"], one["status"], estimate, tuple(one["bounds"]))


def draw(every: Needs, /) -> Figure:
    """A panel a claim: the number that decides against the updates, a line for each width."""
    rows = math.ceil(len(every) / COLUMNS)
    with matplotlib.rc_context(STYLE | {"font.size": 8, "axes.titlesize": 8}):
        figure = Figure(figsize=(2 * WIDTH, PANEL_HEIGHT * rows), layout="constrained")
        panels = np.ravel(figure.subplots(rows, COLUMNS, squeeze=False))
        widths = sorted({one.width for ones in every.values() for one in ones})
        done = [one.updates for ones in every.values() for one in ones if one.estimate]
        reach = (0.8 * min(done), 1.25 * max(done))
        colours = dict(zip(widths, COLOURS, strict=False))
        for axes, (claim, ones) in zip(panels, every.items(), strict=False):
            _draw_claim(axes, claim, ones, colours, reach)
        for axes in panels[len(every) :]:
            axes.set_visible(False)
        handles = [
            *(_sample(colours[width], "-", "", f"{width} units") for width in widths),
            *(_sample("#555555", "", sign, status) for status, sign in SIGNS.items()),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        figure.supxlabel("updates")
    return figure


def _sample(colour: str, line: Any, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, linestyle=line, marker=marker, label=label)


def _draw_claim(
    axes: Axes,
    claim: str,
    ones: Sequence[Judged],
    colours: Mapping[int, str],
    reach: tuple[float, float],
) -> None:
    for width, colour in colours.items():
        known = [(o, o.estimate) for o in ones if o.width == width and o.estimate is not None]
        if not known:
            continue
        updates = [one.updates for one, _ in known]
        mean, low, high = np.array([estimate for _, estimate in known]).T
        axes.plot(updates, mean, color=colour)
        axes.fill_between(updates, low, high, color=colour, alpha=0.15, linewidth=0)
        for (one, _), height in zip(known, mean, strict=True):
            axes.plot(one.updates, height, SIGNS[one.status], color=colour)
    for bound in {bound for one in ones for bound in one.bounds}:
        axes.axhline(bound, color="#999999", linestyle=":", linewidth=1)
    axes.set(title=claim, xscale="log", xlim=reach)
    axes.xaxis.set_minor_formatter(NullFormatter())


def table(every: Needs, /) -> str:
    """Markdown: a claim a row, a run a column, the verdict at its end."""
    runs = sorted({(one.width, one.updates) for ones in every.values() for one in ones})
    ends = [max(run for run in runs if run[0] == width) for width in dict(runs)]
    head = ["claim", *(f"{width} units, {updates:,} updates" for width, updates in ends)]
    rows = [[claim, *(_at(ones, end) for end in ends)] for claim, ones in every.items()]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _at(ones: Iterable[Judged], end: tuple[int, int]) -> str:
    return next((o.status for o in ones if (o.width, o.updates) == end), "")
