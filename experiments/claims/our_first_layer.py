"""Our question (c): why layer 1 saturates first."""

import numpy as np
import xarray as xr

from experiments.claims.reductions import course, updates
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, on
from experiments.results.queries import condition

WHERE = "our question (c)"
LEAST_SATURATED = 0.01  # of the layer that leads: less is no saturation
_LONGER = "A longer run would show whether the order comes later."


def saturated(group: xr.Dataset, /, **options: str) -> np.ndarray:
    """Saturated fraction of every layer at the end, [seed, layer]."""
    net = condition(group, "tanh", "standard", depth=None, **options)
    updates(net)
    at_end = course(net, "activation_saturated")[:, -1]
    if at_end.max(axis=1).min() < LEAST_SATURATED:
        raise NotTested(
            f"in one seed no layer has more than {100 * at_end.max(axis=1).min():.1f}% of its "
            "units x examples saturated at the end",
            {"saturated by layer": at_end.mean(axis=0).tolist()},
        )
    return at_end


def lead(at_end: np.ndarray, layer: int, /) -> np.ndarray:
    """Saturated fraction of a layer less the largest of those above it, [seed]."""
    if at_end.shape[1] <= layer:
        raise NotTested(f"{at_end.shape[1]} layers; there is none above layer {layer}")
    return at_end[:, layer - 1] - at_end[:, layer:].max(axis=1)


def leads(group: xr.Dataset, /, *, layer: int = 1, sign: int = 1, **options: str) -> Verdict:
    """Lead of ``layer`` over those above it at the end of training; ``sign`` is what is claimed."""
    at_end = saturated(group, **options)
    return decide(
        lead(at_end, layer),
        what=f"saturated fraction of layer {layer} less the largest above it",
        **({"above": 0.0} if sign > 0 else {"below": 0.0}),
        numbers={"saturated by layer": at_end.mean(axis=0).tolist()},
    )


def leads_by_less(group: xr.Dataset, /, **options: str) -> Verdict:
    """Lead of layer 1, as the paper has it less with ``options``, paired by seed."""
    usual, changed = saturated(group), saturated(group, **options)
    return decide(
        lead(usual, 1) - lead(changed, 1),
        what="lead of layer 1, usual less changed",
        above=0.0,
        numbers={
            "saturated by layer, usual": usual.mean(axis=0).tolist(),
            "saturated by layer, changed": changed.mean(axis=0).tolist(),
        },
    )


CLAIMS = (
    Claim(
        id="our-first-layer-leads",
        where=WHERE,
        paper="Layer 1 saturates most, as in the paper's Fig. 3.",
        sentence="Tanh, standard: at the end a larger fraction of layer 1 is saturated than of any "
        "other layer.",
        figure="first_layer",
        test=on("first_layer", leads),
        if_it_fails=_LONGER,
        ours=True,
    ),
    Claim(
        id="our-first-layer-frozen",
        where=WHERE,
        paper="It is the lowest layer that learns which saturates first: with layer 1 frozen it is "
        "layer 2.",
        sentence="With layer 1 as it was drawn, a larger fraction of layer 2 is saturated at the "
        "end than of any layer above it.",
        figure="first_layer",
        test=on("first_layer", leads, layer=2, optimizer="first_frozen"),
        if_it_fails="What puts layer 1 first would then be its inputs, and not its place. "
        + _LONGER,
        ours=True,
    ),
    Claim(
        id="our-first-layer-slow",
        where=WHERE,
        paper="A part of the lead is that layer 1 has ten times as many inputs, so that a step "
        "moves its s further.",
        sentence="With layer 1's learning rate times its units over its inputs its lead at the end "
        "is smaller than as the paper has it.",
        figure="first_layer",
        test=on("first_layer", leads_by_less, optimizer="first_slow"),
        if_it_fails="The number of inputs would then have no part in it.",
        ours=True,
    ),
    Claim(
        id="our-first-layer-slow-not-first",
        where=WHERE,
        paper="The number of inputs is all of it: without its effect layer 1 isn't first.",
        sentence="With layer 1's learning rate times its units over its inputs a smaller fraction "
        "of layer 1 is saturated at the end than of some layer above it.",
        figure="first_layer",
        test=on("first_layer", leads, sign=-1, optimizer="first_slow"),
        if_it_fails="Something else puts layer 1 first as well: the size or the correlations of "
        "its inputs, or its place.",
        ours=True,
    ),
    Claim(
        id="our-first-layer-whitened",
        where=WHERE,
        paper="The correlations of the pixels put layer 1 first: with whitened inputs it isn't.",
        sentence="With inputs that are whitened, and as large as before, a smaller fraction of "
        "layer 1 is saturated at the end than of some layer above it.",
        figure="first_layer",
        test=on("first_layer", leads, sign=-1, pixels="whitened"),
        if_it_fails="Correlated pixels would then not be what puts layer 1 first.",
        ours=True,
    ),
)
