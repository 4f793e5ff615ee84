"""What the first sentence of a coordinate check says of the exponents below it."""

import pytest

from glorot_jax.diagnosis.judging.scaling import Exponent, Fault, SiteGrowth
from glorot_jax.diagnosis.reporting.coordinate_text import verdict

LEVEL = Exponent(0.0, 0.01)
GROWS = Fault("top", "learning rate", Exponent(0.5, 0.01), 0.0, -0.5, "its update grows", "slow it")


def site(name, role, like):
    return SiteGrowth(name, role, LEVEL, LEVEL, LEVEL, 1, LEVEL, like, 0.0)


@pytest.mark.parametrize(
    ("bottom", "top", "said"),
    [
        (("SP", "NTK"), ("SP",), "not level, as in SP: "),
        # A single layer that every parametrisation starts alike doesn't name one.
        (("SP", "muP", "NTK"), (), "not level: "),
        # Level is what muP is: a fault beside it is of something else than the kernels.
        (
            ("SP", "muP"),
            ("muP",),
            "not level, though every kernel starts and first moves as in muP: ",
        ),
    ],
)
def test_a_parametrisation_is_named_where_every_kernel_is_like_it(bottom, top, said):
    sites = [site("bottom", "input", bottom), site("top", "output", top)]
    sites.append(site("logits", "outputs", ()))
    assert verdict(sites, [GROWS]).startswith(f"Verdict: {said}")
