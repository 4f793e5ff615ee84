"""For every claim, made-up results in which it holds and others in which it fails."""

from collections.abc import Callable
from typing import NamedTuple

import xarray as xr

from experiments.claims.paper import TABLE_1
from experiments.networks import DENOISING, NetworkSpec
from experiments.studies import STUDIES
from tests.experiments import made_up
from tests.experiments.made_up_baseline import baseline_part

Build = Callable[[], xr.DataTree]


class Case(NamedTuple):
    holds: Build
    fails: Build


def _of(build: Callable[..., xr.Dataset], *name: str) -> Callable[..., Build]:
    part = name[0] if name else build.__name__.removesuffix("_part")

    def with_knobs(**knobs: object) -> Build:
        return lambda: made_up.results(**{part: build(*name, **knobs)})

    return with_knobs


initial = _of(made_up.initial_part)
surface = _of(made_up.surface_part)
shapeset = _of(made_up.training_part, "shapeset")
mnist = _of(made_up.training_part, "mnist")
cifar10 = _of(made_up.training_part, "cifar10")
small_imagenet = _of(made_up.training_part, "small_imagenet")
examples = _of(made_up.examples_part)
selection = _of(made_up.selection_part)
section5 = _of(made_up.section5_part)
costs = _of(made_up.costs_part)
baseline = _of(baseline_part)
plateau = _of(made_up.plateau_part)
adam = _of(made_up.adam_part)
first_layer = _of(made_up.first_layer_part)
SETS = {
    "shapeset": shapeset,
    "mnist": mnist,
    "cifar10": cifar10,
    "small_imagenet": small_imagenet,
}


def _both(**shapeset_knobs: object) -> Build:
    return lambda: made_up.results(
        shapeset=made_up.training_part("shapeset", **shapeset_knobs),
        mnist=made_up.training_part("mnist"),
    )


def _pretrained_sigmoid(mean: float = 0.4) -> Build:
    net = NetworkSpec("sigmoid", DENOISING)
    return shapeset(conditions={net.name: net}, final_error={net.name: 0.3}, pretrained_mean=mean)


ONE_BY_ONE = (0.0, 0.2, 0.5, 0.8, 1.1)
TANH_LIKE = made_up.SATURATION["Tanh"]
BACKWARDS = TANH_LIKE[::-1]


def _dashed(name: str) -> str:
    return name.lower().replace(" ", "-").replace("_", "-")


def _on_every_finite_set(name: str, figure: str) -> dict[str, Case]:
    build, row = SETS[name], TABLE_1[name]
    reversed_order = {net: max(row.values()) + min(row.values()) - row[net] for net in row}
    return {
        f"{figure}-{_dashed(name)}-order": Case(build(), build(final_error=reversed_order)),
        f"{figure}-{_dashed(name)}-sigmoid-worst": Case(
            build(**_error("Sigmoid", 1.1 * max(row.values()))),
            build(**_error("Sigmoid", row["Tanh N"])),
        ),
        f"{figure}-{_dashed(name)}-tanh-n-helps": Case(
            build(), build(**_error("Tanh N", 1.05 * row["Tanh"]))
        ),
        f"fig03-{_dashed(name)}-alike": Case(build(), build(saturation={"Tanh": BACKWARDS})),
        f"fig09-{_dashed(name)}-alike": Case(build(), build(gradient_spread={"Tanh N": 20.0})),
    }


def _error(net: str, value: float) -> dict[str, dict[str, float]]:
    return {"final_error": {net: value}}


def _slow(*nets: str, time: float = 0.9) -> Build:
    return plateau(time_constant={f"Tanh {net}": time for net in nets})


def _backwards() -> Build:
    """A grid in which whatever leaves early leaves late and the other way round."""
    nets = STUDIES["plateau"].networks[:-1]
    times = {net.name: made_up.plateau_time(net.scheme) for net in nets}
    both = min(times.values()) * max(times.values())
    return plateau(time_constant={name: both / time for name, time in times.items()})


def _saturated(net: str, *fractions: float) -> Build:
    return first_layer(saturated={net: fractions})


OUR_CASES: dict[str, Case] = {
    "our-plateau-scale": Case(plateau(), _slow("uniform(1,0)")),
    "our-plateau-biases": Case(plateau(), _slow("pytorch", time=2.0)),
    "our-plateau-scale-does-more": Case(plateau(), _slow("uniform(1/3,0.3)", time=0.02)),
    "our-plateau-biases-add-nothing": Case(plateau(), _slow("uniform(1,0.003)", time=0.02)),
    "our-plateau-nothing-beyond-the-line": Case(plateau(), _slow("uniform(3,0)", time=0.3)),
    "our-plateau-chi-orders": Case(plateau(), _backwards()),
    "our-plateau-chi-is-not-all": Case(plateau(), _backwards()),
    "our-plateau-pytorch-ends-lower": Case(plateau(), plateau(**_error("Tanh pytorch", 0.7))),
    "our-adam-scale-matters": Case(adam(), adam(time_constant={"Tanh N, Adam": 0.4})),
    "our-adam-biases-matter": Case(adam(), adam(time_constant={"Tanh pytorch, Adam": 0.4})),
    "our-adam-matters-less": Case(adam(), adam(time_constant={"Tanh, Adam": 0.9})),
    "our-adam-deeper": Case(adam(), adam(time_constant={"Tanh, depth 10, Adam": 0.1})),
    "our-adam-ends-lower": Case(adam(), adam(**_error("Tanh N, Adam", 0.7))),
    "our-first-layer-leads": Case(first_layer(), _saturated("Tanh", 0.1, 0.3, 0.2, 0.1, 0.1)),
    "our-first-layer-frozen": Case(
        first_layer(), _saturated("Tanh, layer 1 frozen", 0.0, 0.1, 0.2, 0.3, 0.1)
    ),
    "our-first-layer-slow": Case(
        first_layer(), _saturated("Tanh, layer 1 slow", 0.7, 0.2, 0.2, 0.1, 0.1)
    ),
    "our-first-layer-slow-not-first": Case(
        first_layer(), _saturated("Tanh, layer 1 slow", 0.5, 0.3, 0.2, 0.1, 0.1)
    ),
    "our-first-layer-whitened": Case(
        first_layer(), _saturated("Tanh, whitened inputs", 0.5, 0.3, 0.2, 0.1, 0.1)
    ),
}
CASES: dict[str, Case] = {
    **OUR_CASES,
    "fig01-classes": Case(examples(), examples(second_shapes=False)),
    "fig01-one-class-error": Case(shapeset(), shapeset(class_shares=(1 / 9,) * 9)),
    "fig02-top-falls": Case(shapeset(), shapeset(top_falls_to=0.3)),
    "fig02-lower-layers-above-half": Case(shapeset(), shapeset(lower_mean=0.4)),
    "fig02-lower-layers-in-order": Case(shapeset(), shapeset(lower_step=-0.02)),
    "fig02-leaves-about-epoch-100": Case(shapeset(), shapeset(sigmoid_4_leaves=None)),
    "fig02-first-layer-saturates": Case(shapeset(), shapeset(first_layer_saturates=-0.01)),
    "fig02-depth-5-never-leaves": Case(shapeset(), shapeset(sigmoid_leaves=0.6)),
    "tanh-top-stays-clear": Case(
        shapeset(),
        shapeset(
            sigmoid_top_saturated=0.0, saturation={"Tanh": (0.0,) * 5}, tanh_saturated=(0.9, 0.9)
        ),
    ),
    "fig02-softmax-leans-on-biases": Case(shapeset(), shapeset(bias_over_signal=0.3)),
    "fig02-pretrained-stays-clear": Case(_pretrained_sigmoid(), _pretrained_sigmoid(0.01)),
    "fig03-tanh-saturates-in-order": Case(shapeset(), shapeset(saturation={"Tanh": BACKWARDS})),
    "fig03-first-layer-leads": Case(shapeset(), shapeset(saturation={"Tanh": BACKWARDS})),
    "fig03-softsign-saturates-less": Case(
        shapeset(), shapeset(ceiling={"Softsign": 0.999, "Tanh": 0.98})
    ),
    "fig03-softsign-together": Case(
        shapeset(),
        shapeset(saturation={"Softsign": ONE_BY_ONE}, ceiling={"Softsign": 0.995}),
    ),
    "fig03-softsign-fast-then-slow": Case(
        shapeset(saturation={"Softsign": (0.03,) * 5}),
        shapeset(saturation={"Softsign": (0.8,) * 5}),
    ),
    "fig04-tanh-modes": Case(shapeset(), shapeset(final_shape={"tanh": "knee"})),
    "fig04-lower-layers-saturated": Case(shapeset(), shapeset(tanh_saturated=(0.1, 0.3))),
    "fig04-softsign-modes": Case(shapeset(), shapeset(final_shape={"softsign": "bell"})),
    "fig10-tanh-n-together": Case(
        shapeset(), shapeset(saturation={"Tanh N": ONE_BY_ONE}, ceiling={"Tanh N": 0.995})
    ),
    "fig10-like-softsign": Case(
        shapeset(), shapeset(saturation={"Tanh N": TANH_LIKE}, ceiling={"Tanh N": 0.995})
    ),
    "fig09-weight-gradients-diverge": Case(
        shapeset(), shapeset(gradient_spread={"Tanh": 1.0}, first_spread=8.0)
    ),
    "fig09-lower-layers-larger": Case(shapeset(), shapeset(gradient_spread={"Tanh": 0.2})),
    "fig09-normalized-together": Case(shapeset(), shapeset(gradient_spread={"Tanh N": 8.0})),
    "fig09-normalized-diverges-less": Case(shapeset(), shapeset(gradient_spread={"Tanh N": 20.0})),
    "backprop-trend-reverses": Case(shapeset(), shapeset(gradient_spread={"Tanh": 0.2})),
    "quadratic-plateaus": Case(surface(), surface(plateau_quadratic=0.05)),
    "eq15-standard-variance": Case(initial(), initial(n_variance={"standard": 0.5})),
    "eq12-normalized-variance": Case(initial(), initial(n_variance={"normalized": 0.5})),
    "eq5-standard": Case(initial(), initial(activation_gain={"standard": 0.9})),
    "eq5-normalized": Case(initial(activation_gain={"normalized": 0.95}), initial()),
    "eq6-standard": Case(initial(), initial(backprop_gain={"standard": 0.9})),
    "eq6-normalized": Case(initial(backprop_gain={"normalized": 0.95}), initial()),
    "eq7-standard": Case(initial(), initial(weight_gradient_gain={"standard": 0.5})),
    "eq7-normalized": Case(initial(), initial(weight_gradient_gain={"normalized": 0.5})),
    "eq13-backprop-decay": Case(initial(), initial(backprop_gain={"standard": 0.9})),
    "eq14-weight-gradients-level": Case(initial(), initial(weight_gradient_gain={"standard": 3.0})),
    "fig06-peak-grows": Case(initial(), initial(activation_gain={"standard": 1.0})),
    "fig06-normalized-level": Case(initial(), initial(activation_gain={"normalized": 0.3})),
    "fig07-peak-falls": Case(initial(), initial(backprop_gain={"standard": 1.2})),
    "fig07-gradients-shrink": Case(initial(), initial(backprop_gain={"standard": 1.2})),
    "fig07-normalized-level": Case(initial(), initial(backprop_gain={"normalized": 0.3})),
    "fig08-standard-level": Case(initial(), initial(weight_gradient_gain={"standard": 0.3})),
    "fig08-normalized-level": Case(initial(), initial(weight_gradient_gain={"normalized": 0.3})),
    "eq17-standard": Case(initial(), initial(singular={"standard": 0.6})),
    "eq17-normalized": Case(initial(singular={"normalized": 0.8}), initial()),
    "eq17-contrast": Case(initial(), initial(singular={"normalized": 0.5})),
    "eq17-below-oracle": Case(initial(), initial(singular={"standard": 0.55})),
    "eq17-ratio-of-variances-standard": Case(initial(singular={"standard": 0.31}), initial()),
    "eq17-ratio-of-variances-normalized": Case(
        initial(singular={"normalized": 0.8}), initial(singular={"normalized": 0.6})
    ),
    "fig11-order": Case(
        shapeset(), shapeset(final_error={"Sigmoid": 0.1, "Sigmoid 4": 0.12, "Tanh": 0.14})
    ),
    "fig11-tanh-n-helps": Case(shapeset(), shapeset(**_error("Tanh N", 0.28))),
    "fig11-softsign-better-than-tanh": Case(shapeset(), shapeset(**_error("Softsign", 0.3))),
    "fig11-softsign-robust": Case(shapeset(), shapeset(**_error("Softsign", 0.4))),
    "fig11-sigmoid-worst": Case(shapeset(), shapeset(**_error("Sigmoid", 0.2))),
    "table1-sigmoid-plateau": Case(shapeset(), shapeset(**_error("Sigmoid", 0.5))),
    "fig11-sigmoid-4-better": Case(shapeset(), shapeset(**_error("Sigmoid 4", 0.8333))),
    "fig11-sigmoid-4-poorer": Case(shapeset(), shapeset(**_error("Sigmoid 4", 0.1))),
    "fig11-classical-poorer": Case(shapeset(), shapeset(**_error("Tanh", 0.1))),
    "fig11-tanh-slower": Case(
        shapeset(), shapeset(time_constant={"Tanh": 0.01}, **_error("Tanh", 0.1))
    ),
    "fig11-sigmoid-slower": Case(
        shapeset(), shapeset(time_constant={"Sigmoid": 0.01}, **_error("Sigmoid", 0.1))
    ),
    "fig11-pretraining-lowest": Case(shapeset(), shapeset(**_error("Tanh pre-trained", 0.159))),
    "fig11-normalized-near-pretraining": Case(shapeset(), shapeset(**_error("Tanh N", 0.26))),
    "fig11-pretraining-helps": Case(shapeset(), shapeset(**_error("Tanh pre-trained", 0.28))),
    **_on_every_finite_set("mnist", "fig12"),
    **_on_every_finite_set("cifar10", "fig12"),
    **_on_every_finite_set("small_imagenet", "table1"),
    "more-visible-on-shapeset": Case(_both(), _both(**_error("Tanh", 0.157))),
    **{
        f"table1-{_dashed(data)}-{_dashed(net)}": Case(
            build(), build(seeds=10, **_error(net, error * 0.5))
        )
        for data, build in SETS.items()
        for net, error in TABLE_1[data].items()
    },
    "table1-shapeset-tanh-differs": Case(shapeset(), shapeset(**_error("Tanh", 0.1565))),
    **{
        f"table1-{_dashed(data)}-sigmoid-differs": Case(
            build(seeds=10, **_error("Sigmoid", 0.9)),
            build(**_error("Sigmoid", min(TABLE_1[data].values()))),
        )
        for data, build in SETS.items()
    },
    "selection-best-depth": Case(
        selection(), selection(depth_error={"Softsign": (0.4, 0.3, 0.2, 0.15, 0.17)})
    ),
    "selection-sigmoid-depth": Case(
        selection(), selection(depth_error={"Sigmoid": (0.4, 0.3, 0.2, 0.3, 0.8)})
    ),
    **{
        f"section5-{shape}": Case(section5(), section5(**_error(f"Tanh N, {shape}", 0.3)))
        for shape in ("growing", "shrinking")
    },
    **{
        f"section5-{key}-{claim}": Case(section5(), section5(**_error(f"{net}, {suffix}", error)))
        for key, suffix in (("hessian", "Hessian rates"), ("variance", "variance rates"))
        for claim, net, error in (
            ("helps", "Tanh", 0.3),
            ("does-not-reach-normalized", "Tanh", 0.15),
            ("with-normalized", "Tanh N", 0.16),
        )
    },
    **{
        f"costs-{_dashed(net)}": Case(costs(), costs(**_error(f"{net}, quadratic", 0.1)))
        for net in ("Tanh", "Tanh N", "Softsign", "Sigmoid")
    },
    "baseline-net-beats-svm": Case(baseline(), baseline(net=0.65)),
    "baseline-svm-value": Case(baseline(), baseline(seeds=10, svm=0.5)),
    "baseline-net-value": Case(baseline(), baseline(seeds=10, net=0.4)),
}
