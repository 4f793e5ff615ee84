"""How much of a model was seen, before anything is said of it."""

from collections.abc import Sequence

from glorot_jax.diagnosis.judging.evidence import Evidence, Leaf
from glorot_jax.diagnosis.judging.finding import Finding

NAMED = 0.01  # of a kernel's gradient, from which on what isn't seen of it is said
VERDICT = 0.5  # of the gradient, and of the kernels, below which there is no verdict


def kernels(evidence: Evidence) -> list[Leaf]:
    """Parameters that work on the signal as a whole: not biases, nor scales of a norm."""
    return [
        leaf
        for leaf in evidence.leaves
        if leaf.route.reached and (leaf.labels or len(leaf.shape) > 1 or "complex" in leaf.dtype)
    ]


def share_seen(evidence: Evidence) -> float:
    """Of the gradient's square over all kernels, the part through sites; 1 where it is 0."""
    squares = [(leaf.gradient**2, (leaf.gradient * leaf.unseen) ** 2) for leaf in kernels(evidence)]
    whole = sum(square for square, _ in squares)
    return 1 - sum(missing for _, missing in squares) / whole if whole > 0 else 1.0


def what_is_seen(nets: Sequence[Evidence]) -> tuple[str, list[str]]:
    """One sentence on the whole, and one on each kernel that isn't seen, of the net seen least."""
    least = min(nets, key=share_seen)
    looked_at = kernels(least)
    hidden = [leaf for leaf in looked_at if leaf.unseen > NAMED or not leaf.labels]
    seen = len(looked_at) - len([leaf for leaf in hidden if leaf.unseen > VERDICT])
    share = share_seen(least)
    line = f"sees {seen} of {len(looked_at)} kernels and {share:.0%} of the gradient"
    if not looked_at:
        line = "sees no gradient: JAX takes none through this model"
    elif share < VERDICT:
        line += ": no verdict on how signals move"
    elif seen < VERDICT * len(looked_at):
        line += ": no verdict on the other kernels"
    return line, [
        f"{leaf.name}: {leaf.unseen:.0%} of its gradient comes by ways not seen"
        for leaf in hidden
        if leaf.unseen > NAMED
    ]


def on_what_is_seen(findings: Sequence[Finding], evidence: Evidence) -> list[Finding]:
    """``findings``; where most of the gradient goes ways not seen, those that need no profile."""
    if evidence.beginning is not None or share_seen(evidence) >= VERDICT:
        return list(findings)
    return [finding for finding in findings if finding.kind not in _PROFILES]


_PROFILES = {
    f"{verb} {way}"
    for verb in ("vanishing", "exploding")
    for way in ("forward", "backward", "over time")
} | {"rank collapse"}
