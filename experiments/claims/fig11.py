"""Section 5 and Fig. 11: test errors on Shapeset."""

import numpy as np
import xarray as xr

from experiments.claims.explanations import CURVES_CROSS
from experiments.claims.final_errors import above_all, difference, final, in_order, sigmoid_worst
from experiments.claims.networks import MODERN, SYMMETRIC, WITHOUT_PRETRAINING, find
from experiments.claims.plateau import PLATEAU, PLATEAU_REACH, learning_begun, long_enough_to_leave
from experiments.claims.reductions import over_time, updates
from experiments.claims.verdict import (
    Claim,
    NotTested,
    Verdict,
    decide,
    decide_all,
    each_seed,
    interval,
    on,
)
from experiments.data.registry import SHAPESET
from experiments.results.queries import at_chosen_rate

_PRETRAINING = (
    "The paper gives neither the units nor the corruption, the learning rate or the length of the "
    "pre-training behind its curve. A longer pre-training, a few corruptions, and the cost at "
    "which each layer's autoencoder ends would decide."
)
# From the highest final error to the lowest; what Table 1 ties stands in one group.
_SHAPESET_ORDER = (
    ("Sigmoid",),
    ("Sigmoid 4",),
    ("Tanh",),
    ("Softsign",),
    ("Softsign N",),
    ("Tanh N",),
)

ORDER = Claim(
    id="fig11-order",
    where="Fig. 11, caption, and Table 1",
    paper="In decreasing final error: sigmoid 5, sigmoid 4, tanh, softsign, softsign N, tanh N.",
    sentence="Our order of final test errors agrees with it: the rank correlation is positive.",
    figure="fig11",
    test=on(SHAPESET, in_order, order=_SHAPESET_ORDER),
    if_it_fails=CURVES_CROSS,
)

TANH_N_HELPS = Claim(
    id="fig11-tanh-n-helps",
    where="Section 5, third conclusion, and Table 1",
    paper="Normalised initialisation can be quite helpful for tanh: 15.60% against 27.15%.",
    sentence="Seed by seed, Tanh N ends at a lower test error than Tanh.",
    figure="fig11",
    test=on(SHAPESET, difference, worse="Tanh", better="Tanh N"),
    if_it_fails=CURVES_CROSS,
)

SOFTSIGN_BETTER_THAN_TANH = Claim(
    id="fig11-softsign-better-than-tanh",
    where="Fig. 11 and Table 1",
    paper="Softsign ends lower than tanh, both with standard initialisation: 16.27% against "
    "27.15%.",
    sentence="Seed by seed, Softsign ends at a lower test error than Tanh.",
    figure="fig11",
    test=on(SHAPESET, difference, worse="Tanh", better="Softsign"),
    if_it_fails=CURVES_CROSS,
)


def softsign_more_robust(group: xr.Dataset, /) -> Verdict:
    """What the initialisation changes in the final error, tanh less softsign, paired by seed."""
    errors = {name: final(group, name) for name in SYMMETRIC}
    learning_begun(group, errors)
    tanh = _magnitude(errors["Tanh"] - errors["Tanh N"])
    softsign = _magnitude(errors["Softsign"] - errors["Softsign N"])
    return decide(
        tanh - softsign,
        what="change of the final test error with the initialisation, tanh less softsign",
        above=0.0,
        numbers={"tanh": tanh, "softsign": softsign},
    )


def _magnitude(change: np.ndarray) -> np.ndarray:
    """A change of each seed's error without its sign, [seed] or [seed, example] as it came."""
    return change * np.sign(each_seed(change)).reshape(-1, *[1] * (change.ndim - 1))


SOFTSIGN_ROBUST = Claim(
    id="fig11-softsign-robust",
    where="Section 5, second conclusion",
    paper="Softsign nets are more robust to the initialisation than tanh nets.",
    sentence="Seed by seed, normalising changes the final test error of softsign by less than "
    "that of tanh.",
    figure="fig11",
    test=on(SHAPESET, softsign_more_robust),
    if_it_fails=CURVES_CROSS,
)

SIGMOID_WORST = Claim(
    id="fig11-sigmoid-worst",
    where="Fig. 11 and Table 1",
    paper="Sigmoid with 5 layers has by far the highest error.",
    sentence="Seed by seed, it ends higher than every tanh and softsign net.",
    figure="fig11",
    test=on(SHAPESET, sigmoid_worst),
    if_it_fails=CURVES_CROSS,
)


def sigmoid_4_better(group: xr.Dataset, /) -> Verdict:
    """Depth 5 less depth 4, sigmoid."""
    long_enough_to_leave(group)
    errors = {name: final(group, name) for name in ("Sigmoid", "Sigmoid 4")}
    return decide(
        errors["Sigmoid"] - errors["Sigmoid 4"],
        what="final test error, Sigmoid less Sigmoid 4",
        above=0.0,
        numbers=errors,
    )


SIGMOID_4_BETTER = Claim(
    id="fig11-sigmoid-4-better",
    where="Section 2.3 and Fig. 11",
    paper="The best depth on Shapeset is 5, but 4 for sigmoid.",
    sentence="Seed by seed, sigmoid ends lower with 4 layers than with 5, after at least the 2 "
    "million updates that leaving the plateau takes.",
    figure="fig11",
    test=on(SHAPESET, sigmoid_4_better),
    if_it_fails="Either both have left the plateau or neither; the course of the top layer "
    "(Fig. 2) tells which.",
)


def sigmoid_4_poorer(group: xr.Dataset, /) -> Verdict:
    """Sigmoid of 4 layers, once it has left its plateau, less each of the symmetric nets."""
    long_enough_to_leave(group)
    left = final(group, "Sigmoid 4")
    if not np.all(each_seed(left) < PLATEAU - PLATEAU_REACH):
        raise NotTested("not every seed of Sigmoid 4 has left its plateau", {"Sigmoid 4": left})
    return above_all(group, ("Sigmoid 4",), SYMMETRIC)


SIGMOID_4_POORER = Claim(
    id="fig11-sigmoid-4-poorer",
    where="Section 3.1 and Fig. 11",
    paper="Even after leaving saturation, sigmoid finds poorer solutions than the symmetric units.",
    sentence="Seed by seed, sigmoid with 4 layers, off its plateau, ends higher than every "
    "tanh and softsign net.",
    figure="fig11",
    test=on(SHAPESET, sigmoid_4_poorer),
    if_it_fails=CURVES_CROSS,
)


def classical_poorer(group: xr.Dataset, /) -> Verdict:
    """Sigmoid and tanh, both standard, less each of the others."""
    return above_all(group, ("Sigmoid", "Tanh"), MODERN)


CLASSICAL_POORER = Claim(
    id="fig11-classical-poorer",
    where="Section 5, first conclusion",
    paper="Sigmoid and tanh with standard initialisation end at poorer minima.",
    sentence="Seed by seed, both end at a higher test error than Softsign, Softsign N and Tanh N.",
    figure="fig11",
    test=on(SHAPESET, classical_poorer),
    if_it_fails=CURVES_CROSS,
)


def slower(group: xr.Dataset, /, *, classical: str) -> Verdict:
    """Test error averaged over the run: a classical net less each of the others."""
    names = (classical, *MODERN)
    learning_begun(group, {name: final(group, name) for name in names})
    average = {
        name: over_time(at_chosen_rate(find(group, name), "test_error"), updates(group))
        for name in names
    }
    return decide_all(
        {f"{classical} less {name}": average[classical] - average[name] for name in MODERN},
        what="test error averaged over the run",
        numbers=average,
    )


def _slower(net: str) -> Claim:
    return Claim(
        id=f"fig11-{net.lower()}-slower",
        where="Section 5, first conclusion, and Fig. 11",
        paper=f"{net} with standard initialisation converges more slowly.",
        sentence=f"Averaged over the run, the test error of {net} is higher than that of Softsign, "
        "Softsign N and Tanh N.",
        figure="fig11",
        test=on(SHAPESET, slower, classical=net),
        if_it_fails=CURVES_CROSS,
    )


def pretraining_lowest(group: xr.Dataset, /) -> Verdict:
    """Each of Fig. 11's other nets less the pre-trained one."""
    return above_all(group, WITHOUT_PRETRAINING, ("Tanh pre-trained",))


PRETRAINING_LOWEST = Claim(
    id="fig11-pretraining-lowest",
    where="Fig. 11 and section 5",
    paper="Fine-tuning after unsupervised pre-training with denoising autoencoders ends lowest "
    "of all.",
    sentence="Seed by seed, the pre-trained tanh net ends at a lower test error than every net "
    "without pre-training: softsign and tanh, standard and normalised, sigmoid of 4 and 5 "
    "layers.",
    figure="fig11",
    test=on(SHAPESET, pretraining_lowest),
    if_it_fails=_PRETRAINING,
)

PRETRAINING_HELPS = Claim(
    id="fig11-pretraining-helps",
    where="Fig. 11",
    paper="Pre-training, an initialisation too, takes the same units to a lower error.",
    sentence="Seed by seed, the tanh net ends at a lower test error after pre-training than "
    "from the standard initialisation.",
    figure="fig11",
    test=on(SHAPESET, difference, worse="Tanh", better="Tanh pre-trained"),
    if_it_fails=_PRETRAINING,
)

GOOD_PART = 0.5


def normalized_near_pretraining(group: xr.Dataset, /) -> Verdict:
    """What normalising takes off tanh's final error, less half of what pre-training takes off."""
    errors = {name: final(group, name) for name in ("Tanh", "Tanh N", "Tanh pre-trained")}
    learning_begun(group, errors)
    gap = errors["Tanh"] - errors["Tanh pre-trained"]
    if not interval(gap).low > 0:
        raise NotTested("pre-training is not shown to help, so there is no gap", errors)
    gain = errors["Tanh"] - errors["Tanh N"]
    return decide(
        gain - GOOD_PART * gap,
        what="gain by normalising less half of that by pre-training",
        above=0.0,
        numbers={"gain by normalising": gain, "gain by pre-training": gap},
    )


NORMALIZED_NEAR_PRETRAINING = Claim(
    id="fig11-normalized-near-pretraining",
    where="Section 5 and Fig. 11",
    paper="Normalised initialisation removes a good part of the gap between purely supervised and "
    "pre-trained deep networks.",
    sentence="Seed by seed, normalising takes off tanh's final test error at least half of what "
    "pre-training does.",
    figure="fig11",
    test=on(SHAPESET, normalized_near_pretraining),
    if_it_fails=_PRETRAINING,
)

CLAIMS = (
    ORDER,
    TANH_N_HELPS,
    SOFTSIGN_BETTER_THAN_TANH,
    SOFTSIGN_ROBUST,
    SIGMOID_WORST,
    SIGMOID_4_BETTER,
    SIGMOID_4_POORER,
    CLASSICAL_POORER,
    _slower("Tanh"),
    _slower("Sigmoid"),
    PRETRAINING_LOWEST,
    PRETRAINING_HELPS,
    NORMALIZED_NEAR_PRETRAINING,
)
