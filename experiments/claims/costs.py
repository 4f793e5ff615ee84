"""Section 4.1: training on the quadratic cost."""

from experiments.claims.explanations import CURVES_CROSS_WITH_WIDTH
from experiments.claims.final_errors import comparison
from experiments.claims.verdict import Claim


def _cost(net: str) -> Claim:
    return comparison(
        f"costs-{net.lower().replace(' ', '-')}",
        "costs",
        "Section 4.1",
        f"{net}, quadratic",
        net,
        paper="The conditional log-likelihood, with its fewer plateaus, trains much better "
        f"classifiers than the quadratic cost (here {net}).",
        why="The quadratic cost here is the squared distance of the softmax's output from the "
        "target; the paper doesn't say what its output was. Its gradients are smaller, so its best "
        "learning rate may lie above the grid: whether the chosen rate is the largest one tells. "
        + CURVES_CROSS_WITH_WIDTH,
    )


CLAIMS = tuple(_cost(net) for net in ("Tanh", "Tanh N", "Softsign", "Sigmoid"))
