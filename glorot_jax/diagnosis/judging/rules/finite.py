"""Numbers that aren't finite, before all else: nothing else that is measured means anything."""

from glorot_jax.diagnosis.judging.evidence import Evidence
from glorot_jax.diagnosis.judging.finding import SEVERE, Finding, named

_CURES = {
    "sqrt": "Put a second where inside, so that the square root never sees 0: "
    "sqrt(where(x > 0, x, 1)).",
    "log": "Keep the argument off 0, or use jax.nn.log_softmax, log1p or xlogy.",
    "div": "Keep the denominator off 0: divide by where(d == 0, 1, d), or by d + eps.",
    "pow": "Keep the base off 0 with a where inside the power.",
    "exp": "Subtract the largest exponent first (jax.nn.softmax, logsumexp), or clip it.",
    "sub": "Let every row keep one entry that isn't masked, or mask with a large number and not "
    "with infinity.",
}
_OTHERWISE = "Scale the kernels or the inputs before it down."


def not_finite(evidence: Evidence) -> list[Finding]:
    """A NaN or an infinity in the cost or in its gradient, by where it begins."""
    begin = evidence.beginning
    if begin is None:
        return []
    hit = [leaf for leaf in evidence.leaves if not leaf.gradient < float("inf")]
    labels = [label for leaf in hit for label in leaf.labels or (leaf.name,)]
    where = f" ({begin.line})" if begin.line else ""
    at = f" at {begin.at}" if begin.at else ""
    if begin.backward:
        kind = "nan gradient"
        text = (
            f"the gradient is not finite though the cost is: it becomes NaN or infinite in the "
            f"derivative of {begin.primitive}{at}{where}, and reaches {named(labels)}"
        )
    else:
        kind = "not finite"
        text = f"the cost is not finite: NaN or infinity begins at {begin.primitive}{at}{where}"
    return [Finding(kind, SEVERE, tuple(labels), text, _CURES.get(begin.primitive, _OTHERWISE))]


def overflow(evidence: Evidence) -> list[Finding]:
    """An infinity in float16 that something later made finite again."""
    begin = evidence.overflow
    if evidence.beginning is not None or begin is None:
        return []
    where = f" ({begin.line})" if begin.line else ""
    return [
        Finding(
            "float16 overflow",
            SEVERE,
            (),
            f"{begin.primitive}{where} overflows in float16, whose largest number is 65 504; the "
            "cost is finite all the same, because something later divides by the infinity",
            "Compute that in float32 (squares, sums and norms first of all), or in bfloat16.",
            float("inf"),
            65504.0,
            "the largest float16",
        )
    ]
