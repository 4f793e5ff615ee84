"""Section 3: what the paper shows on Shapeset and says of the other sets."""

from experiments.claims.explanations import LENGTH, RATE
from experiments.claims.fig03 import SATURATED_TANH, saturates_in_order
from experiments.claims.fig09 import normalized_diverges_less
from experiments.claims.verdict import Claim, on
from experiments.data.registry import DATA_SETS, STAND_IN


def _on_other_set(data: str) -> tuple[Claim, ...]:
    """The paper shows Shapeset; what carries over to nets that it trained on the other sets."""
    title, stand_in = DATA_SETS[data].title, STAND_IN.get(data)
    dashed = data.replace("_", "-")
    return (
        Claim(
            id=f"fig03-{dashed}-alike",
            where="Section 3",
            paper=f"The other sets show what Shapeset does; here {title}: with tanh and standard "
            "initialisation the layers saturate one after the other, from the first.",
            sentence="The order in which the layers' 98th percentiles reach "
            f"{SATURATED_TANH:.3f} agrees with the order of the layers: their rank "
            "correlation is positive.",
            figure="fig03",
            test=on(data, saturates_in_order, stand_in=stand_in),
            if_it_fails=RATE,
        ),
        Claim(
            id=f"fig09-{dashed}-alike",
            where="Section 3",
            paper=f"The other sets show what Shapeset does; here {title}: tanh's weight gradients "
            "diverge especially with the standard initialisation.",
            sentence="Tanh: in the second half of the run the ratio of the largest to the smallest "
            "layer is larger with standard than with normalised initialisation.",
            figure="fig09",
            test=on(data, normalized_diverges_less, stand_in=stand_in),
            if_it_fails=LENGTH,
        ),
    )


CLAIMS = (
    *_on_other_set("mnist"),
    *_on_other_set("cifar10"),
    *_on_other_set("small_imagenet"),
)
