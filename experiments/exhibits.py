"""Every figure and table that has a config of its own, each declared once."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from experiments.networks import NetworkSpec
from experiments.studies import MODERN_SCHEMES, MODERN_UNITS, PRETRAINED, SIGMOID_4, TABLE_1


@dataclass(frozen=True)
class Exhibit:
    """A figure, table or study that can be made alone.

    Attributes:
      key: what configs, claims and files call it.
      title: what pages call it.
      stages: what has to be measured for it.
      networks: those of stage ``online`` that it shows; () for all that the stage has.
      activations, initializers: those of stage ``initial``; () likewise.
    """

    key: str
    title: str
    stages: tuple[str, ...]
    networks: tuple[NetworkSpec, ...] = ()
    activations: tuple[str, ...] = ()
    initializers: tuple[str, ...] = ()


_SOFTSIGN, _TANH, _TANH_N, _SIGMOID = (TABLE_1[place] for place in (0, 2, 3, 4))
_INITIAL, _ONLINE = ("initial",), ("online",)

# In the order of the paper, then what it doesn't have.
_ALL = (
    Exhibit("fig01", "Fig. 1: examples of the data sets", ("examples",)),
    Exhibit("fig02", "Fig. 2: sigmoid activations over training", _ONLINE, (SIGMOID_4, _SIGMOID)),
    Exhibit(
        "fig03",
        "Fig. 3: saturation over training, tanh and softsign",
        _ONLINE,
        (_TANH, _SOFTSIGN),
    ),
    Exhibit("fig04", "Fig. 4: activations at the end of training", _ONLINE, (_TANH, _SOFTSIGN)),
    Exhibit("fig05", "Fig. 5: cross-entropy and quadratic cost", ("surface",)),
    Exhibit("fig06", "Fig. 6: activations at initialisation", _INITIAL),
    Exhibit(
        "fig07",
        "Fig. 7: back-propagated gradients at initialisation",
        _INITIAL,
        activations=("tanh",),
    ),
    Exhibit("fig08", "Fig. 8: weight gradients at initialisation", _INITIAL, activations=("tanh",)),
    Exhibit("eq17", "Eq. 17: singular values of the layer-to-layer Jacobians", _INITIAL),
    Exhibit(
        "variances",
        "Eqs. 5-7: variances by layer, measured and predicted",
        _INITIAL,
        activations=("tanh",),
    ),
    Exhibit("phase", "Phase diagrams: what mean field expects of very deep nets", _INITIAL),
    Exhibit("fig09", "Fig. 9: weight gradients over training, tanh", _ONLINE, (_TANH, _TANH_N)),
    Exhibit(
        "fig10",
        "Fig. 10: saturation over training, tanh with normalized initialisation",
        _ONLINE,
        (_TANH_N, _SOFTSIGN),
    ),
    Exhibit("fig11", "Fig. 11: test error, learned online", _ONLINE),
    Exhibit("fig12", "Fig. 12: test error on finite data sets", ("mnist", "cifar10")),
    Exhibit(
        "table1",
        "Table 1: test error in %",
        (*_ONLINE, "mnist", "cifar10", "small_imagenet"),
        TABLE_1,
    ),
    Exhibit(
        "pretraining",
        "Pre-training: reconstruction cost",
        _ONLINE,
        (_TANH, _TANH_N, PRETRAINED),
    ),
    Exhibit(
        "selection",
        "Section 2.3: the depth of each model, chosen on validation error",
        ("selection",),
    ),
    Exhibit(
        "section5",
        "Section 5: learning rates by parameter, and layers that grow or shrink",
        ("section5",),
    ),
    Exhibit("costs", "Section 4.1: the quadratic cost against the cross-entropy", ("costs",)),
    Exhibit("gaussians", "Gaussian scales: one standard deviation for every layer", ("gaussians",)),
    Exhibit(
        "modern",
        "Today's starts: the paper's initialisations beside newer ones",
        ("initial", "modern"),
        activations=MODERN_UNITS,
        initializers=MODERN_SCHEMES,
    ),
    Exhibit(
        "baseline",
        "Baseline: an RBF SVM and a network on the same fixed Shapeset examples",
        ("baseline",),
    ),
    Exhibit(
        "plateau",
        "Our question (a): what takes a tanh net off its plateau",
        ("plateau",),
    ),
    Exhibit("adam", "Our question (b): does the initialisation matter with Adam", ("adam",)),
    Exhibit("first_layer", "Our question (c): why layer 1 saturates first", ("first_layer",)),
    Exhibit("fashion_mnist", "Fashion-MNIST: test error", ("fashion_mnist",)),
)
EXHIBITS: Mapping[str, Exhibit] = MappingProxyType({exhibit.key: exhibit for exhibit in _ALL})
