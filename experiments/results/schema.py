"""The labelled results of a run: an ``xarray.DataTree`` with a group for each thing measured.

Every group has its own dimensions, and every variable ``long_name`` and ``units`` attributes:
``results["initial"]["activation_std"]``. On disk a group is a group of a netCDF 4 file.

Group ``examples``: Fig. 1.
  image_32, image_64 [example, row_32, column_32 / row_64, column_64] pixel values;
  label_32, label_64 [example]; class_name [class].

Group ``surface``: Fig. 5. Both costs over one weight of each layer, for several random nets.
  cross_entropy, quadratic [seed, first_weight, second_weight];
  plateau_cross_entropy, plateau_quadratic [seed], fraction of the surface that is a plateau.

Group ``initial``: Figs. 6-8 and eq. 17, at initialisation. Layers count from 1 at the input.
  coordinates activation [condition], initializer [condition], fan_in [layer], fan_out [layer],
  activation_bin_edge [edge] and, in units of the top layer's standard deviation, gradient_bin_edge;
  activation_{mean, std, mean_square, saturated} [condition, seed, layer],
  activation_quantile [.., quantile], activation_histogram [.., bin];
  backprop_{std, mean_square, output_mean_square, unit} [condition, seed, layer],
  backprop_histogram [.., bin]; weight_gradient_{std, mean_square, ratio, unit}, .._histogram;
  predicted_{activation, backprop, weight_gradient} [condition, seed, layer]: eqs. 5, 6, 7 for the
  three ``mean_square`` variables; predicted_singular_value_mean [condition];
  predicted_{..}_spread [condition, layer], how far one seed strays from them, relative; NaN unless
  the weights are uniform;
  meanfield_* [condition, layer(, bin)], what mean field expects of activation_{std, mean_square,
  histogram}, backprop_{mean_square, histogram}, weight_gradient_{std, mean_square, histogram} and,
  as meanfield_singular_value_mean, of singular_value_mean; histograms in the measured bins;
  NaN where it says nothing (a start that does more than draw weights, the top layer's
  backprop_histogram);
  meanfield_singular_value_density [condition, point] at meanfield_singular_value, layers above 1;
  singular_value [condition, seed, layer, example, rank], descending, NaN where a layer has fewer;
  singular_value_mean [condition, seed, layer], by Lanczos iterations, of more examples: the seed's;
  weight_variance [condition, seed, layer] measured Var[W].

Groups of networks that were trained, one a data set or study. A data set's group has its name
(``shapeset``, ``mnist``, ``fashion_mnist``, ``digits``, ``cifar10``, ``small_imagenet``,
``imagenette``): Figs. 2-4, 9-12, Table 1. Studies: ``selection`` (section 2.3), ``section5``
(per-parameter rates, widths that grow or shrink), ``costs`` (section 4.1, quadratic cost),
``gaussians`` (Gaussian initialisation of several scales), ``modern`` (today's rows); and of our own
question ``plateau`` (scales of kernels and biases), ``adam``, ``first_layer`` (frozen, slow, with
whitened inputs).
  coordinates [condition]: activation; initializer, how the network starts (see
  ``glorot_jax/initialization.py``; ``denoising`` is pre-training); depth; optimizer (one of
  ``OPTIMIZERS``); pixels (raw, whitened); shape (equal, growing, shrinking: widths by layer); loss;
  update [update] counts updates done;
  validation_error, test_error, test_cost [condition, learning_rate, seed, update]: fractions, nats;
  diverged_at [condition, learning_rate, seed], the update at which a member was first seen to have
  left the finite numbers, NaN if it never did;
  selection_error [condition, learning_rate], mean validation error over the last tenth of the run,
  NaN if a seed diverged; chosen_learning_rate [condition], that of least selection_error, or the
  largest where no rate has learned anything, NaN if every rate diverged;
  selection_margin [condition], selection_error of the next best rate less that of the chosen one;
  and of the members at that rate: final_test_error [condition, seed], final_test_wrong [condition,
  seed, example], which of the test examples it is made of (no rate's where every one diverged), and
  activation_*, backprop_*, weight_gradient_* [condition, seed, update, layer] as in ``initial``
  (histograms of activations only; NaN above a condition's depth), and the two parts of the logits,
  output_{bias_std, signal_std} [condition, seed, update].
  test_class_count [class], examples of each class in the test set;
  reconstruction_cost [condition, seed, layer, pretraining_point], of the denoising autoencoders,
  and pretraining_update [pretraining_point], only where a condition is pre-trained; NaN elsewhere.
  attributes: dataset, origin, class_names, inputs, classes, batch_size, width, loss,
  validation_examples, test_examples, probe_examples; training_examples of a finite set.
In ``selection`` every model was trained with every depth, and there is also
  model [model], its name without a depth, model_activation, model_initializer [model];
  depth_error [model, candidate_depth], selection_error at each depth's own chosen rate;
  chosen_depth [model] and depth_margin [model], depth_error of the next best depth less the least;
  chosen_test_error [model, seed], of the chosen depth and rate.

Group ``baseline``: an RBF SVM and a 5-layer tanh N net on the same fixed Shapeset samples.
  svm_validation_error [seed, c, gamma]; svm_chosen_c, svm_chosen_gamma, svm_test_error,
  svm_support_vectors [seed]; net_validation_error, net_test_error_course [seed, learning_rate,
  update]; net_chosen_learning_rate, net_chosen_update, net_test_error [seed];
  attributes: training_examples, selection_examples, validation_examples, test_examples, width,
  depth, updates, batch_size.

Attributes of the whole say where it is from (see ``experiments/provenance.py``). ``left_out`` is a
JSON object: for each data set that was asked for and could not be had, why.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from glorot_jax.files import check_seal, first_line

LEFT_OUT = "left_out"
# What claims, figures and tables take for granted, by group; they do without the rest.
_NEEDED = {
    "examples": ("image_32", "label_32", "image_64", "label_64", "class_name"),
    "surface": ("cross_entropy", "quadratic", "plateau_cross_entropy", "plateau_quadratic"),
    "initial": (
        *("activation", "initializer", "gradient_bin_edge"),
        *("activation_std", "activation_histogram", "singular_value", "meanfield_singular_value"),
        *(f"backprop_{name}" for name in ("std", "mean_square", "unit", "histogram")),
        *(f"weight_gradient_{name}" for name in ("std", "mean_square", "unit", "histogram")),
        *(f"predicted_{name}" for name in ("activation", "backprop", "weight_gradient")),
        *(f"predicted_{name}_spread" for name in ("activation", "backprop", "weight_gradient")),
        "predicted_singular_value_mean",
    ),
    "baseline": (
        *("svm_test_error", "learning_rate", "net_test_error_course", "net_chosen_learning_rate"),
        *("net_chosen_update", "net_test_error"),
    ),
    "selection": ("depth_error", "chosen_depth", "model_activation", "model_initializer"),
}
_TRAINED = (  # of every group of networks that were trained
    *("activation", "initializer", "learning_rate", "chosen_learning_rate"),
    *("validation_error", "test_error", "final_test_error", "activation_std"),
)


class ResultsError(ValueError):
    """A results file that can't be read, with the reason in one line."""


_MEANINGS = {
    "mean": "mean",
    "std": "standard deviation",
    "mean_square": "mean square",
    "output_mean_square": "mean square at the logits",
    "saturated": "saturated fraction (slope below 5% of the slope at 0)",
    "quantile": "quantile",
    "histogram": "fraction in each bin",
    "unit": "standard deviation in the top hidden layer, the unit of the bins",
    "ratio": "standard deviation over that of the weights",
}
_THEORY = "meanfield_"
_OUTPUT = {
    "output_bias_std": "standard deviation over classes of the softmax's biases",
    "output_signal_std": "standard deviation over examples of the logits without biases",
}
_SUBJECTS = {
    "activation": "activation z",
    "backprop": "back-propagated gradient dC/ds of each example's own cost",
    "weight_gradient": "weight gradient dC/dw",
}


def labelled(name: str, dims: Sequence[str], values: object, /) -> xr.Variable:
    """``values`` as the variable ``name``, with its ``long_name`` and ``units``."""
    known = {
        "error": "fraction of examples",
        "cost": "nat",
        "reconstruction_cost": "nat, or squared pixel or activation",
        "cross_entropy": "nat",
        "at": "updates",
        "update": "updates",
        "course": "fraction of examples",
        "margin": "fraction of examples",
        "rate": "per update",
        "histogram": "1",
    }
    quantity = name.removeprefix(_THEORY)
    by = "" if quantity == name else ", by mean field"
    long_name = _OUTPUT.get(name, name.replace("_", " "))
    for subject, words in _SUBJECTS.items():
        if quantity.startswith(f"{subject}_"):
            what = _MEANINGS[quantity.removeprefix(f"{subject}_")]
            long_name = f"{what} of {words}{by}"
    units = known.get(name, known.get(name.rsplit("_", 1)[-1], "1"))
    return xr.Variable(tuple(dims), values, {"long_name": long_name, "units": units})


def build(groups: Mapping[str, xr.Dataset], attrs: Mapping[str, object]) -> xr.DataTree:
    """One tree of those groups, with ``attrs`` of the whole."""
    tree = xr.DataTree.from_dict(dict(groups))
    tree.attrs = dict(attrs)
    return tree


def find_group(results: xr.DataTree, name: str, /) -> xr.Dataset | None:
    """The group ``name``, or None if ``results`` doesn't hold it."""
    return results.children[name].to_dataset() if name in results.children else None


def groups(results: xr.DataTree, /) -> dict[str, xr.Dataset]:
    """Every group by name: what ``build`` was given."""
    return {name: child.to_dataset() for name, child in results.children.items()}


def reasons_to_json(left_out: Mapping[str, str], /) -> str:
    """Why each data set could not be had, as the attribute ``left_out`` keeps it."""
    return json.dumps(dict(left_out))


def left_out(results: xr.DataTree, /) -> dict[str, str]:
    """Why each data set that was asked for could not be had, by its name."""
    return dict(json.loads(results.attrs.get(LEFT_OUT, "{}")))


def check(results: xr.DataTree, path: Path | str, /) -> None:
    """Refuses results of a run in ``path`` that no report can be made of.

    Raises:
      ResultsError: no group is one of this project, or one lacks what claims and figures need.
    """
    known = 0
    for name, group in groups(results).items():
        trained = "condition" in group.dims and "update" in group.dims
        needed = (*_NEEDED.get(name, ()), *(_TRAINED if trained else ()))
        known += bool(needed)
        lacking = [each for each in needed if each not in group.variables]
        if lacking:
            raise ResultsError(
                f"results file: {path} lacks {lacking[0]} in {name}: it is of another version; "
                "run the config again"
            )
    if not known:
        raise ResultsError(f"results file: {path} holds no results of this project")


def load(path: Path | str) -> xr.DataTree:
    """Reads a results file whole into memory.

    Raises:
      ResultsError: the file is missing, has changed since it was written or isn't one of results.
    """
    path = Path(path)
    if not path.exists():
        raise ResultsError(f"results file: {path} is not there; run experiments.launch first")
    try:
        check_seal(path)
        with xr.open_datatree(path, engine="h5netcdf") as results:
            loaded = results.load()
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError and others
        raise ResultsError(f"results file: {path} can't be read ({first_line(error)})") from error
    if "parts" in loaded.attrs:
        raise ResultsError(f"results file: {path} is of an older version; run the config again")
    if not loaded.children:
        raise ResultsError(f"results file: {path} holds no results of this project")
    return loaded
