"""The cost as a function of two weights: Fig. 5."""

import xarray as xr

from experiments.claims.measured import values
from experiments.claims.verdict import Verdict, decide


def quadratic_has_worse_plateaus(part: xr.Dataset, /) -> Verdict:
    """Fraction of each surface that is a plateau, paired by the random net."""
    quadratic = values(part, "plateau_quadratic", "seed")
    cross_entropy = values(part, "plateau_cross_entropy", "seed")
    return decide(
        quadratic - cross_entropy,
        what="plateau fraction, quadratic less cross-entropy",
        above=0.0,
        numbers={"quadratic": quadratic, "cross-entropy": cross_entropy},
    )
