"""Section 5: learning rates and layer sizes."""

import xarray as xr

from experiments.claims.explanations import CURVES_CROSS_WITH_WIDTH
from experiments.claims.final_errors import comparison, final
from experiments.claims.plateau import learning_begun
from experiments.claims.verdict import Claim, Verdict, decide, on

_RATES = {
    "hessian": ("Hessian rates", "the diagonal of the Hessian"),
    "variance": ("variance rates", "an estimate of the gradients' variance"),
}
_RATES_FAIL = (
    "The paper names neither the damping of these rates nor how often they are estimated, and the "
    "global rate that multiplies them is chosen from a grid of our own. "
)


def _rates(key: str) -> tuple[Claim, ...]:
    suffix, source = _RATES[key]
    where = "Section 5, on second-order methods"
    why = _RATES_FAIL + CURVES_CROSS_WITH_WIDTH
    return (
        comparison(
            f"section5-{key}-helps",
            "section5",
            where,
            "Tanh",
            f"Tanh, {suffix}",
            paper=f"With standard initialisation, learning rates for each parameter from {source} "
            "help tanh.",
            why=why,
        ),
        comparison(
            f"section5-{key}-does-not-reach-normalized",
            "section5",
            where,
            f"Tanh, {suffix}",
            "Tanh N",
            paper=f"But rates from {source} don't reach what normalised initialisation does.",
            why=why,
        ),
        comparison(
            f"section5-{key}-with-normalized",
            "section5",
            where,
            "Tanh N",
            f"Tanh N, {suffix}",
            paper=f"Rates from {source} together with normalised initialisation help further.",
            why=why,
        ),
    )


ALIKE = 0.5  # of the gain with equal layers: what a like gain is at least


def gains_alike(group: xr.Dataset, /, *, shape: str) -> Verdict:
    """What normalising takes off tanh's final error with layers of ``shape``, paired by seed.

    Less half of what it takes off with equal ones.
    """
    names = ("Tanh", "Tanh N", f"Tanh, {shape}", f"Tanh N, {shape}")
    errors = {name: final(group, name) for name in names}
    learning_begun(group, errors)
    equal, other = (errors[names[i]] - errors[names[i + 1]] for i in (0, 2))
    return decide(
        other - ALIKE * equal,
        what=f"gain where layers are {shape}, less half of that with equal ones",
        above=0.0,
        numbers={"gain, equal layers": equal, f"gain, {shape}": other},
    )


def _widths(shape: str, words: str) -> Claim:
    return Claim(
        id=f"section5-{shape}",
        where="Section 5, on layer sizes",
        paper=f"Normalised initialisation gains as much where layers {words} with depth.",
        sentence="Seed by seed, normalising takes at least half as much off tanh's final test "
        "error there as with equal layers.",
        figure="section5",
        test=on("section5", gains_alike, shape=shape),
        if_it_fails="By how much the layers grow or shrink is our choice; the paper doesn't say. "
        + CURVES_CROSS_WITH_WIDTH,
    )


CLAIMS = (
    *(claim for key in _RATES for claim in _rates(key)),
    _widths("growing", "grow"),
    _widths("shrinking", "shrink"),
)
