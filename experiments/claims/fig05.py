"""Section 4.1 and Fig. 5: the cost as a function of two weights."""

import xarray as xr

from experiments.claims.verdict import Claim, Verdict, decide, on
from experiments.results.queries import values


def quadratic_has_worse_plateaus(group: xr.Dataset, /) -> Verdict:
    """Fraction of each surface that is a plateau, paired by the random net."""
    quadratic = values(group, "plateau_quadratic", "seed")
    cross_entropy = values(group, "plateau_cross_entropy", "seed")
    return decide(
        quadratic - cross_entropy,
        what="plateau fraction, quadratic less cross-entropy",
        above=0.0,
        numbers={"quadratic": quadratic, "cross-entropy": cross_entropy},
    )


QUADRATIC_PLATEAUS = Claim(
    id="quadratic-plateaus",
    where="Section 4.1 and Fig. 5",
    paper="Over two weights of a 2-layer tanh net with random input and target, the quadratic "
    "cost has clearly more severe plateaus than the cross-entropy.",
    sentence="Net by net, a larger fraction of the quadratic cost's surface is a plateau: a "
    "unit step down the slope gains less than a tenth of what is left to gain.",
    figure="fig05",
    test=on("surface", quadratic_has_worse_plateaus),
    if_it_fails="How flat counts as a plateau, and how far the weights are swept, both move "
    "the fraction, and the paper gives neither. Sweeping the threshold on the slope over two "
    "decades and the range of weights would decide whether the order depends on them.",
)

CLAIMS = (QUADRATIC_PLATEAUS,)
