"""Our question (a): what takes a tanh net off its plateau, biases, the scale of kernels or both."""

import math

import jax.numpy as jnp
import numpy as np
import xarray as xr

from experiments.claims.plateau import at_the_earliest, leaving, log_updates_to_leave
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, decide_all, on
from experiments.networks import read
from experiments.results.queries import condition, final_error, network
from glorot_jax.activations import ACTIVATIONS
from glorot_jax.initialization import uniform_variances
from glorot_jax.theory import meanfield

STANDARD, CRITICAL, CHAOTIC = "uniform(1/3,0)", "uniform(1,0)", "uniform(3,0)"
BIASES = ("0.003", "0.03", "0.3")
PYTORCH = "pytorch"
FACTOR = 1.5  # in time, below which we call two times alike
WHERE = "our question (a)"
ONE_RATE = (
    "All nets have one learning rate, 0.03, and another may favour another initialisation. The "
    "same grid at 0.01 and 0.1 would decide."
)
CENSORED = (
    "A net that is still on its plateau at the end counts as leaving there, so the true ratio is "
    "larger. A longer run would decide."
)


def times(group: xr.Dataset, scheme: str, /) -> np.ndarray:
    """Logarithm of the updates after which a tanh net has left its plateau, [seed]."""
    return log_updates_to_leave(condition(group, "tanh", scheme))


def sooner(group: xr.Dataset, /, *, later: str, earlier: str) -> Verdict:
    """Log of the times to leave, ``later`` over ``earlier``, paired by seed."""
    both = {scheme: times(group, scheme) for scheme in (later, earlier)}
    some_left(group, later, earlier)
    return decide(
        both[later] - both[earlier],
        what=f"log of updates to leave, {later} over {earlier}",
        above=0.0,
        numbers={f"updates to leave, {s}": np.exp(logs) for s, logs in both.items()},
    )


def some_left(group: xr.Dataset, *schemes: str) -> None:
    """Raises NotTested if none of these nets has left its plateau: there is nothing to compare."""
    left = [leaving(condition(group, "tanh", scheme)) for scheme in schemes]
    if all(np.isnan(when).all() for when in left):
        raise NotTested(f"no net of {' and '.join(schemes)} has left its plateau in this run")


SCALE = Claim(
    id="our-plateau-scale",
    where=WHERE,
    paper="Larger kernels alone take tanh off its plateau sooner.",
    sentence="Without biases a net with n Var[W] = 1 leaves its plateau sooner than one with 1/3, "
    "the standard initialisation.",
    figure="plateau",
    test=on("plateau", sooner, later=STANDARD, earlier=CRITICAL),
    if_it_fails=CENSORED,
    ours=True,
)
BIASES_ALONE = Claim(
    id="our-plateau-biases",
    where=WHERE,
    paper="Random biases alone take tanh off its plateau sooner.",
    sentence="With the standard kernels, biases as PyTorch draws them leave sooner than none.",
    figure="plateau",
    test=on("plateau", sooner, later=STANDARD, earlier=PYTORCH),
    if_it_fails=CENSORED,
    ours=True,
)


def biases_do_less(group: xr.Dataset, /) -> Verdict:
    """Standard kernels with biases of each variance over critical ones without, each above 0."""
    critical = times(group, CRITICAL)
    biased = {biases: times(group, f"uniform(1/3,{biases})") for biases in BIASES}
    some_left(group, CRITICAL, *(f"uniform(1/3,{biases})" for biases in BIASES))
    return decide_all(
        {f"Var[b] = {biases}": logs - critical for biases, logs in biased.items()},
        what="log of updates to leave, standard kernels with biases over n Var[W] = 1 without",
        numbers={"updates to leave, n Var[W] = 1": np.exp(critical)}
        | {f"updates to leave, 1/3 and {b}": np.exp(logs) for b, logs in biased.items()},
    )


SCALE_DOES_MORE = Claim(
    id="our-plateau-scale-does-more",
    where=WHERE,
    paper="The kernels' scale does more than biases can.",
    sentence="Without biases a net with n Var[W] = 1 leaves sooner than one with standard kernels "
    "and biases of any variance tried.",
    figure="plateau",
    test=on("plateau", biases_do_less),
    if_it_fails=ONE_RATE,
    ours=True,
)


def alike(group: xr.Dataset, /, *, one: str, other: str) -> Verdict:
    """Log of the times to leave, ``one`` over ``other``, within a factor of ``FACTOR``."""
    both = {scheme: times(group, scheme) for scheme in (one, other)}
    some_left(group, one, other)
    return decide(
        both[one] - both[other],
        what=f"log of updates to leave, {one} over {other}",
        above=-math.log(FACTOR),
        below=math.log(FACTOR),
        numbers={f"updates to leave, {s}": np.exp(logs) for s, logs in both.items()},
    )


BIASES_ADD_NOTHING = Claim(
    id="our-plateau-biases-add-nothing",
    where=WHERE,
    paper="Where the kernels are large enough, biases add nothing.",
    sentence="At n Var[W] = 1 the times to leave with Var[b] = 0.003 and without biases differ by "
    f"less than a factor of {FACTOR}.",
    figure="plateau",
    test=on("plateau", alike, one=CRITICAL, other="uniform(1,0.003)"),
    if_it_fails=ONE_RATE,
    ours=True,
)
NOTHING_BEYOND = Claim(
    id="our-plateau-nothing-beyond-the-line",
    where=WHERE,
    paper="Beyond the critical line nothing more is gained.",
    sentence="Without biases the times to leave at n Var[W] = 3 and at 1, which is critical, "
    f"differ by less than a factor of {FACTOR}.",
    figure="plateau",
    test=on("plateau", alike, one=CHAOTIC, other=CRITICAL),
    if_it_fails=ONE_RATE,
    ours=True,
)


def chi_of(scheme: str) -> float:
    """chi at the fixed point of tanh with the variances that ``uniform(..)`` names."""
    variances = uniform_variances(scheme)
    if variances is None:
        raise ValueError(f"scheme: {scheme} names no variances")
    kernels, biases = (jnp.asarray([value], jnp.result_type(float)) for value in variances)
    return float(meanfield.chi_at_fixed_point(ACTIVATIONS["tanh"], kernels, biases)[0])


def rank_with_chi(group: xr.Dataset, /, *, kernels: float | None, sign: int) -> Verdict:
    """Kendall's tau of chi and time to leave over nets in the ordered phase, one value a seed.

    Args:
      kernels: n Var[W] of the nets taken; None for all.
      sign: of the tau that is claimed.
    """
    found = {spec: uniform_variances(spec.scheme) for spec in read(group)}
    nets = [spec for spec, two in found.items() if two and kernels in (None, two[0])]
    chi = {spec: chi_of(spec.scheme) for spec in nets}
    ordered = [spec for spec in nets if chi[spec] < 1 - meanfield.CRITICAL_TOLERANCE]
    if len(ordered) < 3:
        raise NotTested(f"{len(ordered)} nets of the grid are in the ordered phase; 3 make a rank")
    from scipy.stats import kendalltau  # imported when needed: it takes a second

    when = np.array([at_the_earliest(network(group, spec)) for spec in ordered])
    tau = [kendalltau([chi[spec] for spec in ordered], column)[0] for column in when.T]
    return decide(
        np.nan_to_num(np.array(tau)),  # all alike: no correlation
        what="rank correlation of chi and updates to leave, ordered phase",
        **({"above": 0.0} if sign > 0 else {"below": 0.0}),
        numbers={"nets": len(ordered)},
    )


CHI_ORDERS = Claim(
    id="our-plateau-chi-orders",
    where=WHERE,
    paper="In the ordered phase nets leave the sooner the nearer they are to the critical line.",
    sentence="Over all nets of the grid with chi below 1 the rank correlation of chi, mean field's "
    "factor of the gradient's variance a layer, and the time to leave is negative.",
    figure="plateau",
    test=on("plateau", rank_with_chi, kernels=None, sign=-1),
    if_it_fails="Biases lower chi and yet may help; see the claim on standard kernels.",
    ours=True,
)
CHI_IS_NOT_ALL = Claim(
    id="our-plateau-chi-is-not-all",
    where=WHERE,
    paper="But the phase isn't all: biases take a net further into the ordered phase, and off its "
    "plateau sooner.",
    sentence="At n Var[W] = 1/3 and the four variances of biases the rank correlation of chi and "
    "the time to leave is positive.",
    figure="plateau",
    test=on("plateau", rank_with_chi, kernels=1 / 3, sign=1),
    if_it_fails="Gradients would then be what holds a net on its plateau, and not the symmetry "
    "that biases break.",
    ours=True,
)


def ends_lower(group: xr.Dataset, /) -> Verdict:
    """Final test error, standard less PyTorch's, paired by seed."""
    errors = {
        scheme: final_error(condition(group, "tanh", scheme)) for scheme in (STANDARD, PYTORCH)
    }
    some_left(group, STANDARD, PYTORCH)
    return decide(
        errors[STANDARD] - errors[PYTORCH],
        what="final test error, standard less PyTorch's",
        above=0.0,
        numbers={f"final test error, {scheme}": error for scheme, error in errors.items()},
    )


PYTORCH_ENDS_LOWER = Claim(
    id="our-plateau-pytorch-ends-lower",
    where=WHERE,
    paper="PyTorch's default, the standard kernels with random biases, has learned more after as "
    "many updates.",
    sentence="Its final test error is below that of the standard initialisation without biases.",
    figure="plateau",
    test=on("plateau", ends_lower),
    if_it_fails="A longer run forgets when a net left its plateau; a shorter one would decide.",
    ours=True,
)

CLAIMS = (
    SCALE,
    BIASES_ALONE,
    SCALE_DOES_MORE,
    BIASES_ADD_NOTHING,
    NOTHING_BEYOND,
    CHI_ORDERS,
    CHI_IS_NOT_ALL,
    PYTORCH_ENDS_LOWER,
)
