"""Why claims may fail, in words that several of them share."""

RATE = (
    "The learning rate is chosen on validation error and the paper doesn't print its own; a larger "
    "or smaller one moves saturation in time. The other learning rates of the sweep would decide."
)
# What happens inside a network while it is trained.
LENGTH = (
    "A run shorter than the paper's 5 million updates, or narrower than 1000 units, need not have "
    "got there; the paper's own length and width would decide."
)
# Final errors of networks as wide as the paper's, or compared at any width.
CURVES_CROSS = (
    "Error curves cross: a run shorter than the paper's 5 million updates shows who is faster, not "
    "who ends lower. The paper's own length would decide."
)
CURVES_CROSS_WITH_WIDTH = (
    "Error curves cross: a run shorter than the paper's 5 million updates shows who is faster, not "
    "who ends lower. The paper's own length and width would decide."
)
ESCAPE = (
    "Escape is a rare event whose time depends on the learning rate, the range of "
    "the pixels and the output layer's initialisation, which the paper doesn't all print; "
    "times of escape over many seeds and rates would decide."
)
NOT_LINEAR = (
    "The equations take every slope to be 1. With inputs of a mean square near 0.4, normalised "
    "initialisation starts tanh units at activations of order 1/2, where the slope is well below "
    "1 and each layer loses a part that the equations don't know; standard initialisation leaves "
    "only the first layer there. The same measurement with the inputs scaled down to a tenth would "
    "decide it: the difference must then vanish."
)
