"""Section 3.1 and Fig. 2: sigmoid networks during training."""

import numpy as np
import xarray as xr

from experiments.claims.explanations import ESCAPE, LENGTH, RATE
from experiments.claims.paper import PAPER_UPDATES, UPDATES_PER_EPOCH
from experiments.claims.plateau import LEAVING_EPOCH
from experiments.claims.reductions import course, last_update, updates
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, on
from experiments.data.registry import SHAPESET
from experiments.networks import DENOISING
from experiments.results.queries import condition, values

# A sigmoid starts at a mean of 0.5. Pushed to 0: a tenth of that. Left again: twice as much, so
# that a wobble about the first line isn't taken for an escape.
NEAR_ZERO = 0.05
LEFT_ZERO = 0.1
# "Very quickly": within a fifth of the 100 epochs that leaving then takes.
QUICK_EPOCHS = 20
# "Around epoch 100": nearer to it than to the start, and as far on the other side.
EARLIEST, LATEST = 50, 150


def top_falls(group: xr.Dataset, /) -> Verdict:
    """Lowest mean of the top layer within the first 20 epochs, 4 layers."""
    net = condition(group, "sigmoid", "standard", depth=4)
    top, done = course(net, "activation_mean")[..., -1], updates(net)
    quick = done <= QUICK_EPOCHS * UPDATES_PER_EPOCH
    verdict = decide(
        top[:, quick].min(axis=1),
        what=f"lowest mean of the top layer within {QUICK_EPOCHS} epochs",
        below=NEAR_ZERO,
        numbers={"at the start": top[:, 0], "at the end": top[:, -1]},
    )
    return _unless_short(verdict, net, QUICK_EPOCHS)


TOP_FALLS = Claim(
    id="fig02-top-falls",
    where="Section 3.1 and Fig. 2, caption",
    paper="Of four sigmoid layers the top one is very quickly pushed to its lower saturation, 0.",
    sentence="Within the first 20 epochs (400 000 updates) the mean of the top layer is below "
    f"{NEAR_ZERO}, a tenth of where it starts.",
    figure="fig02",
    test=on(SHAPESET, top_falls),
    if_it_fails=RATE,
)


def lower_layers_above_half(group: xr.Dataset, /) -> Verdict:
    """Mean of the layers below the top one while that is at 0; the lowest layer decides."""
    lower = _while_saturated(group)
    return decide(
        lower.min(axis=1),
        what="lowest mean of a layer below the top one",
        above=0.5,
        numbers={"mean by layer": lower.mean(axis=0).tolist()},
    )


LOWER_LAYERS_ABOVE_HALF = Claim(
    id="fig02-lower-layers-above-half",
    where="Section 3.1",
    paper="Meanwhile the other layers have a mean activation above 0.5.",
    sentence="While the mean of the top layer is below 0.05, that of every other layer is "
    "above 0.5.",
    figure="fig02",
    test=on(SHAPESET, lower_layers_above_half),
    if_it_fails="The lower layers start within a hair of 0.5 and their weights' means, which "
    "decide the side, are random: which way they are then pushed depends on the inputs' mean "
    "and so on the range of the pixels, which the paper doesn't print. Both ranges would "
    "decide.",
)


def lower_layers_in_order(group: xr.Dataset, /) -> Verdict:
    """Each layer's mean less that of the layer below it; the least clear step decides."""
    lower = _while_saturated(group)
    return decide(
        np.diff(lower, axis=1).min(axis=1),
        what="least rise of the mean from a layer to the one above",
        above=0.0,
        numbers={"mean by layer": lower.mean(axis=0).tolist()},
    )


LOWER_LAYERS_IN_ORDER = Claim(
    id="fig02-lower-layers-in-order",
    where="Section 3.1",
    paper="Their means decrease from the output towards the input.",
    sentence="While the mean of the top layer is below 0.05, every other layer's mean is "
    "larger than that of the layer below it.",
    figure="fig02",
    test=on(SHAPESET, lower_layers_in_order),
    if_it_fails="On the plateau almost no gradient reaches the lower layers, so their order "
    "may be that of the start, which is random; more seeds would decide.",
)


def leaves_about_epoch_100(group: xr.Dataset, /) -> Verdict:
    """When the top layer of 4 has left 0."""
    net = condition(group, "sigmoid", "standard", depth=4)
    done = updates(net)
    left = _left(course(net, "activation_mean")[..., -1], done)
    staying = int(np.sum(np.isnan(left)))
    epochs = left / UPDATES_PER_EPOCH
    numbers = {"seeds still at 0": staying, "epoch of leaving by seed": epochs.tolist()}
    if staying and done[-1] < LATEST * UPDATES_PER_EPOCH:
        raise NotTested(
            f"{staying} of {left.size} seeds are still at 0 after {done[-1]:.0f} updates; it takes "
            f"{LEAVING_EPOCH * UPDATES_PER_EPOCH} and is looked for until "
            f"{LATEST * UPDATES_PER_EPOCH}",
            numbers,
        )
    # A seed that stays would leave later than the run is long: that is a lower bound.
    return decide(
        np.where(np.isnan(left), done[-1] / UPDATES_PER_EPOCH, epochs),
        what="epoch at which the top layer has left 0",
        above=EARLIEST,
        below=LATEST,
        numbers=numbers,
    )


LEAVES_ABOUT_EPOCH_100 = Claim(
    id="fig02-leaves-about-epoch-100",
    where="Fig. 2, caption",
    paper="The top of four sigmoid layers slowly desaturates around epoch 100, 2 million updates.",
    sentence=f"Its mean is above {LEFT_ZERO} again at an epoch between "
    f"{EARLIEST} and {LATEST}; a run that stays at 0 decides only after the "
    "latter.",
    figure="fig02",
    test=on(SHAPESET, leaves_about_epoch_100),
    if_it_fails=RATE,
)


def first_layer_saturates_as_the_top_leaves(group: xr.Dataset, /) -> Verdict:
    """Saturated fraction of layer 1 after the top layer has left 0, less that before."""
    net = condition(group, "sigmoid", "standard", depth=4)
    top, done = course(net, "activation_mean")[..., -1], updates(net)
    at_zero, left = reached(top), _left(top, done)
    if np.isnan(left).any():
        raise NotTested(
            f"the top layer of {np.sum(np.isnan(left))} of {left.size} seeds is still at 0"
        )
    first = course(net, "activation_saturated")[..., 0]
    after = _mean_where(first, done[None, :] >= left[:, None])
    before = _mean_where(first, at_zero & (done[None, :] < left[:, None]))
    return decide(
        after - before,
        what="rise of the saturated fraction of layer 1",
        above=0.0,
        numbers={"before": before, "after": after},
    )


FIRST_LAYER_SATURATES = Claim(
    id="fig02-first-layer-saturates",
    where="Section 3.1",
    paper="As the top layer moves out of saturation, the first layer begins to saturate.",
    sentence="Of four sigmoid layers, the saturated fraction of the first is larger after the "
    "top one has left 0 than while it was there.",
    figure="fig02",
    test=on(SHAPESET, first_layer_saturates_as_the_top_leaves),
    if_it_fails=LENGTH,
)


def depth_5_never_leaves(group: xr.Dataset, /) -> Verdict:
    """Highest mean of the top layer of 5 once it has fallen to 0."""
    net = condition(group, "sigmoid", "standard", depth=5)
    top = course(net, "activation_mean")[..., -1]
    saturated = reached(top)
    after = np.logical_or.accumulate(saturated, axis=1)
    verdict = decide(
        np.max(np.where(after, top, -np.inf), axis=1),
        what="highest mean of the top layer after it has fallen",
        below=LEFT_ZERO,
    )
    if verdict.status == "holds" and last_update(net) < PAPER_UPDATES:
        raise NotTested(
            f"still at 0, but the run of {last_update(net)} updates is shorter than the paper's "
            f"{PAPER_UPDATES}",
            verdict.numbers,
        )
    return verdict


DEPTH_5_NEVER_LEAVES = Claim(
    id="fig02-depth-5-never-leaves",
    where="Section 3.1",
    paper="The sigmoid net of five layers never escaped this regime during training.",
    sentence=f"Once fallen, the mean of its top layer stays below {LEFT_ZERO} to the "
    "end of 5 million updates; leaving earlier contradicts it at any length.",
    figure="fig02",
    test=on(SHAPESET, depth_5_never_leaves),
    if_it_fails=ESCAPE,
)


def softmax_leans_on_biases(group: xr.Dataset, /) -> Verdict:
    """While the top layer of 4 falls: spread of the softmax's biases less that of its signal."""
    net = condition(group, "sigmoid", "standard", depth=4)
    at_zero = reached(course(net, "activation_mean")[..., -1])
    # The biases start at 0, so that the first look after the start is the first that tells.
    falling = ~np.logical_or.accumulate(at_zero, axis=1)
    falling[:, 0] = False
    falling[np.arange(len(at_zero)), np.argmax(at_zero, axis=1)] = True
    parts = {
        name: _mean_where(values(net, f"output_{name}_std", "seed", "update"), falling)
        for name in ("bias", "signal")
    }
    return decide(
        parts["bias"] - parts["signal"],
        what="spread of the logits by the biases, less that by the examples (nats)",
        above=0.0,
        numbers=parts,
    )


SOFTMAX_LEANS_ON_BIASES = Claim(
    id="fig02-softmax-leans-on-biases",
    where="Section 3.1",
    paper="The softmax at first relies more on its biases, which are learned very quickly, than on "
    "the top hidden layer.",
    sentence="Four sigmoid layers, from the first look after the start until the top one is at 0: "
    "the biases differ more between classes than the rest of a logit does between examples.",
    figure="fig02",
    test=on(SHAPESET, softmax_leans_on_biases),
    if_it_fails="The top layer's activations differ between images from the start, and times large "
    "output weights that can be more than the biases have learned; output weights of 0 at the "
    "start would decide.",
)


def pretrained_stays_clear(group: xr.Dataset, /) -> Verdict:
    """Lowest mean of the top layer within the first 20 epochs, sigmoid after pre-training."""
    net = condition(group, "sigmoid", DENOISING)
    top, done = course(net, "activation_mean")[..., -1], updates(net)
    quick = done <= QUICK_EPOCHS * UPDATES_PER_EPOCH
    verdict = decide(
        top[:, quick].min(axis=1),
        what=f"lowest mean of the top layer within {QUICK_EPOCHS} epochs",
        above=NEAR_ZERO,
        numbers={"at the start": top[:, 0], "at the end": top[:, -1]},
    )
    if verdict.status == "holds" and last_update(net) < QUICK_EPOCHS * UPDATES_PER_EPOCH:
        raise NotTested(
            f"still above, but {last_update(net)} updates are fewer than the "
            f"{QUICK_EPOCHS * UPDATES_PER_EPOCH} it is given",
            verdict.numbers,
        )
    return verdict


PRETRAINED_STAYS_CLEAR = Claim(
    id="fig02-pretrained-stays-clear",
    where="Section 3.1",
    paper="Deep sigmoid networks that start from unsupervised pre-training don't saturate so.",
    sentence="A sigmoid net pre-trained with denoising autoencoders: within the first 20 epochs "
    f"(400 000 updates) the mean of its top layer stays above {NEAR_ZERO}.",
    figure="fig02",
    test=on(SHAPESET, pretrained_stays_clear),
    if_it_fails="The paper speaks of restricted Boltzmann machines, we pre-train with denoising "
    "autoencoders; longer pre-training, and other corruptions, would decide.",
)


def reached(top: np.ndarray) -> np.ndarray:
    """Where the top layer's mean [seed, update] is at 0; every seed must get there."""
    saturated = top < NEAR_ZERO
    never = int(np.sum(~saturated.any(axis=1)))
    if never:
        raise NotTested(
            f"the top layer of {never} of {len(top)} seeds was never seen at 0 "
            f"(a mean below {NEAR_ZERO})",
            {"lowest mean of the top layer": top.min(axis=1)},
        )
    return saturated


def _left(top: np.ndarray, done: np.ndarray) -> np.ndarray:
    """The update at which the top layer has left 0, NaN where it has not, [seed]."""
    after = np.logical_or.accumulate(reached(top), axis=1)
    left = after & (top > LEFT_ZERO)
    return np.where(left.any(axis=1), done[np.argmax(left, axis=1)], np.nan)


def _while_saturated(group: xr.Dataset) -> np.ndarray:
    """Mean of each layer below the top one while the top one is at 0, [seed, layer]."""
    net = condition(group, "sigmoid", "standard", depth=4)
    mean = course(net, "activation_mean")
    saturated = reached(mean[..., -1])
    layers = range(mean.shape[-1] - 1)
    return np.stack([_mean_where(mean[..., layer], saturated) for layer in layers], axis=1)


def _mean_where(series: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean of [seed, update] over the checkpoints chosen, [seed]."""
    return np.sum(np.where(where, series, 0), axis=1) / where.sum(axis=1)


def _unless_short(verdict: Verdict, net: xr.Dataset, epochs: int) -> Verdict:
    """What hasn't happened in a run too short for it is not tested."""
    if (
        verdict.status in ("contradicted", "undecided")
        and last_update(net) < epochs * UPDATES_PER_EPOCH
    ):
        raise NotTested(
            f"not seen in {last_update(net)} updates, fewer than the "
            f"{epochs * UPDATES_PER_EPOCH} it is given",
            verdict.numbers,
        )
    return verdict


CLAIMS = (
    TOP_FALLS,
    LOWER_LAYERS_ABOVE_HALF,
    LOWER_LAYERS_IN_ORDER,
    LEAVES_ABOUT_EPOCH_100,
    FIRST_LAYER_SATURATES,
    DEPTH_5_NEVER_LEAVES,
    SOFTMAX_LEANS_ON_BIASES,
    PRETRAINED_STAYS_CLEAR,
)
