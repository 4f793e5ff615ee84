"""Our question (b): whether the initialisation still matters with Adam."""

import numpy as np
import xarray as xr

from experiments.claims.plateau import at_the_earliest, learning_begun
from experiments.claims.verdict import Claim, Verdict, decide, on
from experiments.networks import PAPER_DEPTH
from experiments.results.queries import condition, values

WHERE = "our question (b)"
OPTIMIZERS = ("sgd", "adam")
DEEPER = 10  # layers
_RATES = (
    "Each net is at the better of a few learning rates; a finer grid, or one that is warmed up, "
    "may change who is ahead."
)


def gain(
    group: xr.Dataset, optimizer: str, better: str, /, *, depth: int = PAPER_DEPTH
) -> np.ndarray:
    """Log of the updates to leave, standard over ``better``, with that optimizer, [seed]."""
    when = [
        np.log(np.maximum(at_the_earliest(_net(group, scheme, optimizer, depth)), 1.0))
        for scheme in ("standard", better)
    ]
    return when[0] - when[1]


def _net(group: xr.Dataset, scheme: str, optimizer: str, depth: int = PAPER_DEPTH) -> xr.Dataset:
    return condition(group, "tanh", scheme, depth=depth, optimizer=optimizer)


def _updates(group: xr.Dataset, *schemes: str) -> dict[str, np.ndarray]:
    return {
        f"updates to leave, {scheme}, {optimizer}": at_the_earliest(_net(group, scheme, optimizer))
        for scheme in schemes
        for optimizer in OPTIMIZERS
    }


def matters(group: xr.Dataset, /, *, better: str) -> Verdict:
    """With Adam, log of the updates to leave, standard over ``better``."""
    return decide(
        gain(group, "adam", better),
        what=f"log of updates to leave with Adam, standard over {better}",
        above=0.0,
        numbers=_updates(group, "standard", better),
    )


def matters_less(group: xr.Dataset, /, *, better: str) -> Verdict:
    """The same with SGD less that with Adam."""
    with_sgd, with_adam = (gain(group, optimizer, better) for optimizer in OPTIMIZERS)
    return decide(
        with_sgd - with_adam,
        what=f"log of updates to leave, standard over {better}, SGD less Adam",
        above=0.0,
        numbers={"with SGD": with_sgd, "with Adam": with_adam},
    )


def matters_more_when_deeper(group: xr.Dataset, /, *, better: str) -> Verdict:
    """With Adam, the same in a net of ``DEEPER`` layers less that of 5."""
    deep, usual = (gain(group, "adam", better, depth=depth) for depth in (DEEPER, PAPER_DEPTH))
    return decide(
        deep - usual,
        what=f"log of updates to leave with Adam, standard over {better}, {DEEPER} layers less 5",
        above=0.0,
        numbers={f"{DEEPER} layers": deep, "5 layers": usual},
    )


def ends_lower(group: xr.Dataset, /, *, better: str) -> Verdict:
    """With Adam, final test error, standard less ``better``, paired by seed."""
    errors = {
        scheme: values(_net(group, scheme, "adam"), "final_test_error", "seed")
        for scheme in ("standard", better)
    }
    learning_begun(group, errors)
    return decide(
        errors["standard"] - errors[better],
        what=f"final test error with Adam, standard less {better}",
        above=0.0,
        numbers=errors,
    )


CLAIMS = (
    Claim(
        id="our-adam-scale-matters",
        where=WHERE,
        paper="With Adam too the normalized initialisation leaves the plateau sooner.",
        sentence="With Adam tanh N's test error is a tenth below guessing's after fewer updates "
        "than that of tanh with the standard initialisation.",
        figure="adam",
        test=on("adam", matters, better="normalized"),
        if_it_fails=_RATES,
        ours=True,
    ),
    Claim(
        id="our-adam-biases-matter",
        where=WHERE,
        paper="With Adam too random biases leave the plateau sooner.",
        sentence="With Adam the standard kernels leave sooner with PyTorch's biases than without.",
        figure="adam",
        test=on("adam", matters, better="pytorch"),
        if_it_fails=_RATES,
        ours=True,
    ),
    Claim(
        id="our-adam-matters-less",
        where=WHERE,
        paper="Adam makes up for a good part of a poor initialisation.",
        sentence="The ratio of the times to leave, standard over normalized, is larger with SGD "
        "than with Adam.",
        figure="adam",
        test=on("adam", matters_less, better="normalized"),
        if_it_fails=_RATES,
        ours=True,
    ),
    Claim(
        id="our-adam-deeper",
        where=WHERE,
        paper="With Adam the initialisation matters the more the deeper the net.",
        sentence="The ratio of the times to leave, standard over normalized, is larger with 10 "
        "layers than with 5.",
        figure="adam",
        test=on("adam", matters_more_when_deeper, better="normalized"),
        if_it_fails=_RATES,
        ours=True,
    ),
    Claim(
        id="our-adam-ends-lower",
        where=WHERE,
        paper="With Adam too the normalized initialisation ends lower.",
        sentence="With Adam tanh N's final test error is below that of tanh with the standard "
        "initialisation, each at its own learning rate.",
        figure="adam",
        test=on("adam", ends_lower, better="normalized"),
        if_it_fails=_RATES + " Error curves cross, and a longer run may tell another story.",
        ours=True,
    ),
)
