"""What the paper says of the cost as a function of the weights: Fig. 5."""

from experiments.claims.predicates.cost_surface import quadratic_has_worse_plateaus
from experiments.claims.verdict import Claim, on

CLAIMS = (
    Claim(
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
    ),
)
