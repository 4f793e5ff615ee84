"""Fig. 6: activations at initialisation."""

from experiments.claims.explanations import NOT_LINEAR
from experiments.claims.initial import ACTIVATION_PEAK, INITIAL, level_claim, peak_at_zero
from experiments.claims.verdict import Claim, on

PEAK_GROWS = Claim(
    id="fig06-peak-grows",
    where="Fig. 6, caption",
    paper="With standard initialisation the peak at 0 of the tanh activations grows with the "
    "layer.",
    sentence="Tanh, standard initialisation: the fraction of activations within "
    f"{ACTIVATION_PEAK} of 0 is larger in each layer than in the one below.",
    figure="fig06",
    test=on(INITIAL, peak_at_zero, quantity="activation", grows=True),
    if_it_fails="A peak so narrow that all layers are inside it, or inputs so small that the "
    "layers can't be told apart; the standard deviations by layer would decide.",
)

NORMALIZED_LEVEL = level_claim(
    "fig06-normalized-level",
    "Section 4.2.1, eq. 16, and Fig. 6, bottom",
    "activation",
    "normalized",
    "Normalised initialisation about maintains the variance of the activations from layer to "
    "layer.",
    NOT_LINEAR,
)

CLAIMS = (PEAK_GROWS, NORMALIZED_LEVEL)
