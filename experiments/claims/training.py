"""What the paper says of units and gradients during training: Figs. 2-4, 9 and 10."""

from experiments.claims.measured import LEVEL
from experiments.claims.predicates import gradients, saturation, sigmoid
from experiments.claims.verdict import Claim, on
from experiments.results.schema import STAND_INS

PART = "shapeset"

_RATE = (
    "The learning rate is chosen on validation error and the paper doesn't print its own; a larger "
    "or smaller one moves saturation in time. The other learning rates of the sweep would decide."
)
_LENGTH = (
    "A run shorter than the paper's 5 million updates, or narrower than 1000 units, need not have "
    "got there; the paper's own length and width would decide."
)

_SIGMOID = (
    Claim(
        id="fig02-top-falls",
        where="Section 3.1 and Fig. 2, caption",
        paper="Of four sigmoid layers the top one is very quickly pushed to its lower saturation, "
        "0.",
        sentence="Within the first 20 epochs (400 000 updates) the mean of the top layer is below "
        f"{sigmoid.NEAR_ZERO}, a tenth of where it starts.",
        figure="fig02",
        test=on(PART, sigmoid.top_falls),
        if_it_fails=_RATE,
    ),
    Claim(
        id="fig02-lower-layers-above-half",
        where="Section 3.1",
        paper="Meanwhile the other layers have a mean activation above 0.5.",
        sentence="While the mean of the top layer is below 0.05, that of every other layer is "
        "above 0.5.",
        figure="fig02",
        test=on(PART, sigmoid.lower_layers_above_half),
        if_it_fails="The lower layers start within a hair of 0.5 and their weights' means, which "
        "decide the side, are random: which way they are then pushed depends on the inputs' mean "
        "and so on the range of the pixels, which the paper doesn't print. Both ranges would "
        "decide.",
    ),
    Claim(
        id="fig02-lower-layers-in-order",
        where="Section 3.1",
        paper="Their means decrease from the output towards the input.",
        sentence="While the mean of the top layer is below 0.05, every other layer's mean is "
        "larger than that of the layer below it.",
        figure="fig02",
        test=on(PART, sigmoid.lower_layers_in_order),
        if_it_fails="On the plateau almost no gradient reaches the lower layers, so their order "
        "may be that of the start, which is random; more seeds would decide.",
    ),
    Claim(
        id="fig02-leaves-about-epoch-100",
        where="Fig. 2, caption",
        paper="The top of four sigmoid layers slowly desaturates around epoch 100, 2 million "
        "updates.",
        sentence=f"Its mean is above {sigmoid.LEFT_ZERO} again at an epoch between "
        f"{sigmoid.EARLIEST} and {sigmoid.LATEST}; a run that stays at 0 decides only after the "
        "latter.",
        figure="fig02",
        test=on(PART, sigmoid.leaves_about_epoch_100),
        if_it_fails=_RATE,
    ),
    Claim(
        id="fig02-first-layer-saturates",
        where="Section 3.1",
        paper="As the top layer moves out of saturation, the first layer begins to saturate.",
        sentence="Of four sigmoid layers, the saturated fraction of the first is larger after the "
        "top one has left 0 than while it was there.",
        figure="fig02",
        test=on(PART, sigmoid.first_layer_saturates_as_the_top_leaves),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig02-depth-5-never-leaves",
        where="Section 3.1",
        paper="The sigmoid net of five layers never escaped this regime during training.",
        sentence=f"Once fallen, the mean of its top layer stays below {sigmoid.LEFT_ZERO} to the "
        "end of 5 million updates; leaving earlier contradicts it at any length.",
        figure="fig02",
        test=on(PART, sigmoid.depth_5_never_leaves),
        if_it_fails="Escape is a rare event whose time depends on the learning rate, the range of "
        "the pixels and the output layer's initialisation, which the paper doesn't all print; "
        "times of escape over many seeds and rates would decide.",
    ),
    Claim(
        id="tanh-top-stays-clear",
        where="Section 3.2",
        paper="Tanh nets don't suffer the saturation of the top layer that sigmoid nets do.",
        sentence="Over the first 20 epochs a smaller fraction of the top layer is saturated in "
        "tanh (standard) than in sigmoid with four layers.",
        figure="fig03",
        test=on(PART, sigmoid.tanh_top_stays_clear),
        if_it_fails="A mean near 0 need not be saturation by the slope that we count by, 5% of the "
        "steepest; the sigmoid's histogram would tell how close to 0 its units are.",
    ),
)

_SYMMETRIC = (
    Claim(
        id="fig03-tanh-saturates-in-order",
        where="Section 3.2 and Fig. 3, caption",
        paper="With tanh and standard initialisation the first layer saturates first, then the "
        "second, and so on.",
        sentence="The order in which the layers' 98th percentiles reach "
        f"{saturation.SATURATED_TANH:.3f} (slope 5%) agrees with the order of the layers: their "
        "rank correlation is positive.",
        figure="fig03",
        test=on(PART, saturation.saturates_in_order),
        if_it_fails=_RATE,
    ),
    Claim(
        id="fig03-first-layer-leads",
        where="Section 3.2 and Fig. 3, caption",
        paper="Saturation starts with layer 1.",
        sentence="Tanh, standard: the 98th percentile of layer 1 reaches "
        f"{saturation.SATURATED_TANH:.3f} before that of any other layer.",
        figure="fig03",
        test=on(PART, saturation.first_layer_leads),
        if_it_fails=_RATE,
    ),
    Claim(
        id="fig03-softsign-saturates-less",
        where="Fig. 3, caption",
        paper="With softsign the layers saturate less.",
        sentence="At the end the 98th percentile of the activations, mean over layers, is lower "
        "for softsign than for tanh, both standard.",
        figure="fig03",
        test=on(PART, saturation.softsign_saturates_less),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig03-softsign-together",
        where="Section 3.3 and Fig. 3, caption",
        paper="With softsign the layers saturate together, not one after the other.",
        sentence="Over the run the layers' 98th percentiles lie closer together for softsign than "
        "for tanh, both standard.",
        figure="fig03",
        test=on(PART, saturation.moves_together, activation="softsign", initializer="standard"),
        if_it_fails="Standard initialisation starts both nets' layers far apart, and a run too "
        "short is mostly start; the range over layers by update would decide.",
    ),
    Claim(
        id="fig03-softsign-fast-then-slow",
        where="Section 3.3",
        paper="Softsign's saturation is faster at the beginning and then slow.",
        sentence="Averaged over the run, more than half of the rise of its 98th percentile is "
        "already done.",
        figure="fig03",
        test=on(PART, saturation.fast_then_slow),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig04-tanh-modes",
        where="Section 3.3 and Fig. 4, top",
        paper="At the end tanh activations have their modes mostly at -1 and 1 or around 0.",
        sentence="Tanh, standard, all layers: abs(z) is denser both above 0.9 and below 0.1 than "
        "in 0.6 to 0.8.",
        figure="fig04",
        test=on(PART, saturation.tanh_modes),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig04-lower-layers-saturated",
        where="Fig. 4, caption",
        paper="Tanh's lower layers are much saturated at the end.",
        sentence="Tanh, standard: a larger fraction is saturated (slope below 5%) in the lower "
        "half of the layers than in the upper half.",
        figure="fig04",
        test=on(PART, saturation.lower_layers_saturated),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig04-softsign-modes",
        where="Section 3.3 and Fig. 4, caption",
        paper="At the end softsign activations have modes around 0.6 to 0.8 in absolute value.",
        sentence="Softsign, standard, all layers: abs(z) is denser in 0.6 to 0.8 than on either "
        "side, in 0.2 to 0.4 and above 0.9.",
        figure="fig04",
        test=on(PART, saturation.softsign_modes),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig10-tanh-n-together",
        where="Fig. 10 and section 4.3",
        paper="With normalised initialisation the layers of a tanh net saturate together.",
        sentence="Over the run the layers' 98th percentiles lie closer together for tanh "
        "normalised than for tanh standard.",
        figure="fig10",
        test=on(PART, saturation.moves_together, activation="tanh", initializer="normalized"),
        if_it_fails=_RATE,
    ),
    Claim(
        id="fig10-like-softsign",
        where="Section 4.3 and Fig. 10",
        paper="The activations of a tanh net with normalised initialisation evolve like those of "
        "a softsign net.",
        sentence="Over updates and layers, the 98th percentiles of tanh normalised are nearer to "
        "softsign's than to tanh's, both standard.",
        figure="fig10",
        test=on(PART, saturation.tanh_normalized_like_softsign),
        if_it_fails="Softsign reaches a given activation only for much larger sums than tanh, so "
        "the levels may differ where the shape of the course is alike; the ranges over layers "
        "compare shapes only.",
    ),
)

_GRADIENTS = (
    Claim(
        id="fig09-weight-gradients-diverge",
        where="Section 4.3 and Fig. 9, top",
        paper="With standard initialisation tanh's weight gradients, alike at first, diverge from "
        "each other as training goes on.",
        sentence="Tanh, standard: the ratio of the largest to the smallest layer is larger in the "
        "second half of the run than at the start.",
        figure="fig09",
        test=on(PART, gradients.weight_gradients_diverge),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig09-lower-layers-larger",
        where="Fig. 9, caption, and section 4.3",
        paper="With standard initialisation the weight gradients become larger in the lower layers "
        "and smaller in the higher ones.",
        sentence="Tanh, standard: in the second half of the run the first layer's weight gradients "
        "are larger than the top layer's.",
        figure="fig09",
        test=on(PART, gradients.lower_layers_get_larger_gradients),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="fig09-normalized-together",
        where="Fig. 9, caption",
        paper="Normalised initialisation keeps the variance of the weight gradients the same "
        "across layers during training.",
        sentence="Tanh, normalised: in the second half of the run the largest layer exceeds the "
        f"smallest by less than a factor {LEVEL:.2f} per layer, half (in logarithm) of the factor "
        "1.73 that eq. 15 makes of a standard deviation.",
        figure="fig09",
        test=on(PART, gradients.normalized_stays_together),
        if_it_fails="The paper also says that the gradients diverge 'especially' with standard "
        "initialisation, so some spread is its own finding; how the two compare is the next entry.",
    ),
    Claim(
        id="fig09-normalized-diverges-less",
        where="Section 4.3 and Fig. 9",
        paper="The weight gradients diverge especially with the standard initialisation.",
        sentence="Tanh: in the second half of the run the ratio of the largest to the smallest "
        "layer is larger with standard than with normalised initialisation.",
        figure="fig09",
        test=on(PART, gradients.normalized_diverges_less),
        if_it_fails=_LENGTH,
    ),
    Claim(
        id="backprop-trend-reverses",
        where="Section 4.3",
        paper="That back-propagated gradients shrink downwards is reversed very quickly during "
        "learning (standard initialisation).",
        sentence="Tanh, standard: in the second half of the run the first layer's back-propagated "
        "gradients are larger than the top layer's; the update from which is among the numbers.",
        figure="fig09",
        test=on(PART, gradients.backprop_trend_reverses),
        if_it_fails=_LENGTH,
    ),
)


def _on_other_set(data: str, title: str) -> tuple[Claim, ...]:
    """The paper shows Shapeset; what carries over to nets that it trained on the other sets."""
    stand_in = {of: name for name, of in STAND_INS.items()}.get(data)
    dashed = data.replace("_", "-")
    return (
        Claim(
            id=f"fig03-{dashed}-alike",
            where="Section 3",
            paper=f"The other sets show what Shapeset does; here {title}: with tanh and standard "
            "initialisation the layers saturate one after the other, from the first.",
            sentence="The order in which the layers' 98th percentiles reach "
            f"{saturation.SATURATED_TANH:.3f} agrees with the order of the layers: their rank "
            "correlation is positive.",
            figure="fig03",
            test=on(data, saturation.saturates_in_order, stand_in=stand_in),
            if_it_fails=_RATE,
        ),
        Claim(
            id=f"fig09-{dashed}-alike",
            where="Section 3",
            paper=f"The other sets show what Shapeset does; here {title}: tanh's weight gradients "
            "diverge especially with the standard initialisation.",
            sentence="Tanh: in the second half of the run the ratio of the largest to the smallest "
            "layer is larger with standard than with normalised initialisation.",
            figure="fig09",
            test=on(data, gradients.normalized_diverges_less, stand_in=stand_in),
            if_it_fails=_LENGTH,
        ),
    )


_OTHER_SETS = (
    *_on_other_set("mnist", "MNIST"),
    *_on_other_set("cifar10", "CIFAR-10"),
    *_on_other_set("small_imagenet", "Small-ImageNet"),
)

CLAIMS = (*_SIGMOID, *_SYMMETRIC, *_GRADIENTS, *_OTHER_SETS)
