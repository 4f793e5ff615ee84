"""What the paper says of nets just initialised: eqs. 5-7 and 12-17, Figs. 6-8."""

from experiments.claims.predicates import initial
from experiments.claims.verdict import Claim, on

PART = "initial"

_LINEAR = {
    "activation": ("5", "the variance of the activations of each layer"),
    "backprop": ("6", "the variance of the back-propagated gradients of each layer"),
    "weight_gradient": ("7", "the variance of the weight gradients of each layer"),
}
_FIGURE = {"activation": "fig06", "backprop": "fig07", "weight_gradient": "fig08"}
_NOT_LINEAR = (
    "The equations take every slope to be 1. With inputs of a mean square near 0.4, normalised "
    "initialisation starts tanh units at activations of order 1/2, where the slope is well below "
    "1 and each layer loses a part that the equations don't know; standard initialisation leaves "
    "only the first layer there. The same measurement with the inputs scaled down to a tenth would "
    "decide it: the difference must then vanish."
)


def _prediction(quantity: str, initializer: str) -> Claim:
    number, what = _LINEAR[quantity]
    return Claim(
        id=f"eq{number}-{initializer}",
        where=f"Section 4.2.1, eq. {number}",
        paper=f"At initialisation (here {initializer}) the net is in a linear regime, so eq. "
        f"{number} gives {what}.",
        sentence=f"Tanh, {initializer} initialisation: in every layer eq. {number} and what is "
        f"measured differ by less than a factor {initial.HALF_A_LAYER:.2f}, half of what one layer "
        "changes under standard initialisation.",
        figure=_FIGURE[quantity],
        test=on(PART, initial.prediction, quantity=quantity, initializer=initializer),
        if_it_fails=_NOT_LINEAR,
    )


def _variance(id: str, where: str, initializer: str, paper: str) -> Claim:
    return Claim(
        id=id,
        where=where,
        paper=paper,
        sentence=f"{initializer.capitalize()} initialisation: every layer's measured Var[W] is "
        f"within {initial.VARIANCE_TOLERANCE:.0%} of it.",
        figure="fig06",
        test=on(PART, initial.weight_variance, initializer=initializer),
        if_it_fails="The weights are drawn from that law, so a difference beyond sampling is a "
        "mistake in the initialiser or in how the variance is measured; the variance of one large "
        "kernel drawn by itself would tell which.",
    )


def _level(id: str, where: str, quantity: str, initializer: str, paper: str, why: str) -> Claim:
    return Claim(
        id=id,
        where=where,
        paper=paper,
        sentence=f"Tanh, {initializer} initialisation: from layer to layer the standard deviation "
        f"changes by less than a factor {initial.LEVEL:.2f}, half (in logarithm) of the "
        f"{initial.HALF_A_LAYER:.2f} that eq. 15 makes of it.",
        figure=_FIGURE[quantity],
        test=on(PART, initial.level, quantity=quantity, initializer=initializer),
        if_it_fails=why,
    )


def _singular(initializer: str) -> Claim:
    claimed = initial.RATIO[initializer]
    return Claim(
        id=f"eq17-{initializer}",
        where="Section 4.2.2, eq. 17",
        paper=f"The average singular value of the layers' Jacobians is about {claimed} with "
        f"{initializer} initialisation.",
        sentence="Tanh, 5 layers of 1000 units, between layers of one size: it rounds to "
        f"{claimed}.",
        figure="eq17",
        test=on(PART, initial.singular_value_to_the_digit, initializer=initializer),
        if_it_fails="It is 8/(3 pi) sqrt(n Var W), 0.49 or 0.85, times the mean slope of the "
        "units, and the slope depends on how large the inputs are. The paper doesn't say whether "
        "its pixels lie in [-1, 1] or [0, 1], nor which layers and examples it averages over. "
        "Both ranges, layer by layer, would show which of them gives the paper's number.",
    )


CLAIMS = (
    _variance(
        "eq15-standard-variance",
        "Section 4.2.1, eq. 15 (and eq. 1)",
        "standard",
        "Standard initialisation gives n Var[W] = 1/3.",
    ),
    _variance(
        "eq12-normalized-variance",
        "Section 4.2.1, eqs. 12 and 16",
        "normalized",
        "Normalised initialisation gives Var[W] = 2 / (n_in + n_out).",
    ),
    *(
        _prediction(quantity, initializer)
        for quantity in _LINEAR
        for initializer in ("standard", "normalized")
    ),
    Claim(
        id="eq13-backprop-decay",
        where="Section 4.2.1, eqs. 13 and 15",
        paper="The variance of the back-propagated gradients changes by n Var[W] per layer, so "
        "with standard initialisation it falls to a third per layer.",
        sentence="Tanh, standard initialisation: from the top hidden layer to the first, the "
        f"variance falls as predicted to within a factor {initial.HALF_A_LAYER:.2f}, half a layer.",
        figure="fig07",
        test=on(PART, initial.backprop_decay),
        if_it_fails=_NOT_LINEAR,
    ),
    Claim(
        id="eq14-weight-gradients-level",
        where="Section 4.2.1, eq. 14",
        paper="With equal widths the variance of the weight gradients is the same for all layers, "
        "whatever the initialisation.",
        sentence="Tanh, standard and normalised: the largest layer's weight gradient, example by "
        f"example, exceeds the smallest's by less than a factor {initial.LEVEL:.2f} per layer.",
        figure="fig08",
        test=on(PART, initial.weight_gradient_variance_level),
        if_it_fails="The first layer's weight gradients carry the inputs, the others' activations "
        "that tanh has made smaller, which eq. 14 leaves out. Inputs scaled down to a tenth would "
        "decide it.",
    ),
    Claim(
        id="fig06-peak-grows",
        where="Fig. 6, caption",
        paper="With standard initialisation the peak at 0 of the tanh activations grows with the "
        "layer.",
        sentence="Tanh, standard initialisation: the fraction of activations within "
        f"{initial.ACTIVATION_PEAK} of 0 is larger in each layer than in the one below.",
        figure="fig06",
        test=on(PART, initial.peak_at_zero, quantity="activation", grows=True),
        if_it_fails="A peak so narrow that all layers are inside it, or inputs so small that the "
        "layers can't be told apart; the standard deviations by layer would decide.",
    ),
    _level(
        "fig06-normalized-level",
        "Section 4.2.1, eq. 16, and Fig. 6, bottom",
        "activation",
        "normalized",
        "Normalised initialisation about maintains the variance of the activations from layer to "
        "layer.",
        _NOT_LINEAR,
    ),
    Claim(
        id="fig07-peak-falls",
        where="Fig. 7, caption",
        paper="With standard initialisation the peak at 0 of the back-propagated gradients falls "
        "for higher layers.",
        sentence="Tanh, standard initialisation: the fraction of gradients within "
        f"{initial.GRADIENT_PEAK} of the top layer's standard deviation is smaller in each layer "
        "than in the one below.",
        figure="fig07",
        test=on(PART, initial.peak_at_zero, quantity="backprop", grows=False),
        if_it_fails="Gradients of one example share a scale, so their law is no normal one and its "
        "peak may not follow its width; the standard deviations by layer would decide.",
    ),
    Claim(
        id="fig07-gradients-shrink",
        where="Section 4.3 and Fig. 7, top",
        paper="After standard initialisation the back-propagated gradients get smaller as they are "
        "propagated downwards.",
        sentence="Tanh, standard initialisation: their standard deviation is smaller in each layer "
        "than in the one above.",
        figure="fig07",
        test=on(PART, initial.shrinks_downwards),
        if_it_fails="n Var[W] = 1/3 should make it fall to 0.58 per layer; if it doesn't, the "
        "measured Var[W] and slopes of the layer that rises would tell why.",
    ),
    _level(
        "fig07-normalized-level",
        "Section 4.3 and Fig. 7, bottom",
        "backprop",
        "normalized",
        "With normalised initialisation the back-propagated gradients don't decrease.",
        _NOT_LINEAR,
    ),
    *(
        _level(
            f"fig08-{initializer}-level",
            "Section 4.3 and Fig. 8, caption",
            "weight_gradient",
            initializer,
            f"With {initializer} initialisation the weight gradients are about as large in all "
            "layers" + ("." if other else ", though the back-propagated ones get smaller."),
            "These are gradients of the cost averaged over the probe's examples, so they also "
            "depend on how far the examples' gradients agree, which eq. 14 leaves out and which "
            "may differ between layers. The same for one example at a time (eq. 14's own entry) "
            "decides.",
        )
        for initializer, other in (("standard", False), ("normalized", True))
    ),
    _singular("standard"),
    _singular("normalized"),
    Claim(
        id="eq17-contrast",
        where="Section 4.2.2, eq. 17",
        paper="The average singular value is around 0.8 with normalised initialisation and drops "
        "to 0.5 with the standard one.",
        sentence="Tanh: normalised over standard is nearer to 0.8 / 0.5 than to 1, and as near "
        "from above.",
        figure="eq17",
        test=on(PART, initial.singular_value_contrast),
        if_it_fails="The weights alone give sqrt(3) = 1.73; the slopes of tanh, smaller under "
        "normalised initialisation, take from it. Smaller inputs must bring it back.",
    ),
    Claim(
        id="eq17-below-oracle",
        where="Section 4.2.2, eq. 17, with the singular values of a random matrix",
        paper="The average singular values, 0.8 and 0.5, belong to weights whose own would be "
        "0.85 and 0.49: 8/(3 pi) sqrt(n Var W), times slopes of at most 1.",
        sentence="Tanh, standard and normalised: the mean singular value is below 8/(3 pi) "
        "sqrt(n Var W).",
        figure="eq17",
        test=on(PART, initial.below_oracle),
        if_it_fails="Slopes of tanh are at most 1, so this is a mistake in the Jacobians, or "
        "layers so narrow that the limit of wide ones doesn't hold; doubling the width decides.",
    ),
    Claim(
        id="eq17-ratio-of-variances",
        where="Section 4.2.2, after eq. 17",
        paper="Between layers of one size the average singular value corresponds to the ratio of "
        "the activations' variances.",
        sentence="Tanh, standard and normalised: the two agree to the one digit that the paper "
        f"gives, within {initial.ROUNDING}.",
        figure="eq17",
        test=on(PART, initial.variance_ratio),
        if_it_fails="For a linear layer the ratio of variances is the mean of the squared singular "
        "values, n Var[W], which is 1/3 where the mean singular value is 0.49. The mean square is "
        "among the numbers: if it agrees with the ratio, the paper's sentence holds of it instead.",
    ),
)
