"""Section 4.3 and Fig. 10: saturation with normalised initialisation."""

import numpy as np
import xarray as xr

from experiments.claims.explanations import RATE
from experiments.claims.fig03 import moves_together
from experiments.claims.reductions import over_time, percentile_98, updates
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, on
from experiments.data.registry import SHAPESET
from experiments.results.queries import condition

TANH_N_TOGETHER = Claim(
    id="fig10-tanh-n-together",
    where="Fig. 10 and section 4.3",
    paper="With normalised initialisation the layers of a tanh net saturate together.",
    sentence="Over the run the layers' 98th percentiles lie closer together for tanh "
    "normalised than for tanh standard.",
    figure="fig10",
    test=on(SHAPESET, moves_together, activation="tanh", scheme="normalized"),
    if_it_fails=RATE,
)


def tanh_normalized_like_softsign(group: xr.Dataset, /) -> Verdict:
    """Distance of tanh N's course from tanh's, less that from softsign's."""
    normalized = condition(group, "tanh", "normalized")
    course_of, done = percentile_98(normalized), updates(normalized)

    def distance(activation: str) -> np.ndarray:
        other = percentile_98(condition(group, activation, "standard"))
        if other.shape != course_of.shape:
            raise NotTested(f"tanh and {activation} nets have different numbers of layers")
        return over_time(np.abs(course_of - other).mean(axis=2), done)

    from_tanh, from_softsign = distance("tanh"), distance("softsign")
    return decide(
        from_tanh - from_softsign,
        what="distance of the 98th percentiles, to tanh less to softsign",
        above=0.0,
        numbers={"to tanh": from_tanh, "to softsign": from_softsign},
    )


LIKE_SOFTSIGN = Claim(
    id="fig10-like-softsign",
    where="Section 4.3 and Fig. 10",
    paper="The activations of a tanh net with normalised initialisation evolve like those of "
    "a softsign net.",
    sentence="Over updates and layers, the 98th percentiles of tanh normalised are nearer to "
    "softsign's than to tanh's, both standard.",
    figure="fig10",
    test=on(SHAPESET, tanh_normalized_like_softsign),
    if_it_fails="Softsign reaches a given activation only for much larger sums than tanh, so "
    "the levels may differ where the shape of the course is alike; the ranges over layers "
    "compare shapes only.",
)

CLAIMS = (TANH_N_TOGETHER, LIKE_SOFTSIGN)
