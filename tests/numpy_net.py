"""The network, its costs and its back-propagation in float64 NumPy, written from the equations."""

import numpy as np

# Each activation with its slope, both functions of the pre-activation s.
ACTIVATIONS = {
    "identity": (lambda s: s, np.ones_like),
    "sigmoid": (
        lambda s: 1 / (1 + np.exp(-s)),
        lambda s: np.exp(-s) / (1 + np.exp(-s)) ** 2,
    ),
    "tanh": (np.tanh, lambda s: 1 / np.cosh(s) ** 2),
    "softsign": (lambda s: s / (1 + np.abs(s)), lambda s: 1 / (1 + np.abs(s)) ** 2),
}


def random_params(seed, sizes, *, stddev=0.5):
    """Float32 parameters of a network of ``sizes`` units a layer, the biases not 0 either."""
    rng = np.random.default_rng(seed)
    names = [*(f"hidden_{layer:02d}" for layer in range(1, len(sizes) - 1)), "output"]
    return {
        name: {
            "kernel": rng.normal(0, stddev, (n_in, n_out)).astype(np.float32),
            "bias": rng.normal(0, 0.3, n_out).astype(np.float32),
        }
        for name, n_in, n_out in zip(names, sizes[:-1], sizes[1:], strict=True)
    }


def random_examples(seed, n, inputs, classes):
    """x [n, inputs] uniform in [-1, 1] and labels y [n]."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, inputs)).astype(np.float32)
    return x, rng.integers(classes, size=n, dtype=np.int32)


def layers(params):
    """[(kernel, bias)] from the input upwards, in float64."""
    names = [*sorted(name for name in params if name != "output"), "output"]
    return [
        (np.asarray(params[n]["kernel"], np.float64), np.asarray(params[n]["bias"], np.float64))
        for n in names
    ]


def forward(params, x, activation):
    """Every s and every z, as in the paper: z[0] = x, s[i] = z[i] W[i] + b[i]."""
    f, _ = ACTIVATIONS[activation]
    s, z = [], [np.asarray(x, np.float64)]
    for kernel, bias in layers(params):
        s.append(z[-1] @ kernel + bias)
        z.append(f(s[-1]))
    return s, z[:-1]


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def costs(logits, y, loss):
    """The cost of each example."""
    p, target = softmax(np.asarray(logits, np.float64)), np.eye(logits.shape[1])[np.asarray(y)]
    if loss == "cross_entropy":
        return -np.log((p * target).sum(axis=1))
    return ((p - target) ** 2).sum(axis=1)


def cost_gradient(logits, y, loss):
    """d cost / d logits of each example."""
    p, target = softmax(np.asarray(logits, np.float64)), np.eye(logits.shape[1])[np.asarray(y)]
    if loss == "cross_entropy":
        return p - target
    return 2 * p * ((p - target) - (p * (p - target)).sum(axis=1, keepdims=True))


def backprop(params, x, y, activation, loss):
    """ds of each example's own cost; dw and db of the cost averaged over the examples."""
    _, slope = ACTIVATIONS[activation]
    s, z = forward(params, x, activation)
    ds = [cost_gradient(s[-1], y, loss)]
    for (kernel, _), below in zip(layers(params)[:0:-1], s[-2::-1], strict=True):
        ds.insert(0, (ds[0] @ kernel.T) * slope(below))
    dw = [np.einsum("ej,ek->jk", a, d) / len(x) for a, d in zip(z, ds, strict=True)]
    return ds, dw, [d.mean(axis=0) for d in ds]
