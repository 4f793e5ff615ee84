"""Transformers: scores, embeddings, residuals, and starts as published."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.clinic.data import chain_of_tokens, images, marked_token
from benchmarks.clinic.kit import Model, Training, healthy, sick
from benchmarks.clinic.nets import attend, flax_nnx, gaussian, linen

NORMAL = nn.initializers.normal(0.02)
ZEROS = nn.initializers.zeros


class _Block(nnx.Module):
    def __init__(self, width: int, spread: float, rngs: nnx.Rngs) -> None:
        self.q, self.k, self.v, self.o = (nnx.Linear(width, width, rngs=rngs) for _ in range(4))
        for layer in (self.q, self.k):
            layer.kernel[...] = layer.kernel[...] * spread
        self.norm_1, self.norm_2 = (nnx.LayerNorm(width, rngs=rngs) for _ in range(2))
        self.up = nnx.Linear(width, 2 * width, rngs=rngs)
        self.down = nnx.Linear(2 * width, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        n, steps, width = x.shape
        h = self.norm_1(x)
        q, k, v = (layer(h).reshape(n, steps, 2, -1) for layer in (self.q, self.k, self.v))
        x = x + self.o(attend(q, k, v).reshape(n, steps, width))
        return x + self.down(nnx.gelu(self.up(self.norm_2(x))))


class _Encoder(nnx.Module):
    def __init__(self, depth: int, spread: float, rngs: nnx.Rngs) -> None:
        width = 48
        self.embed = nnx.Linear(12, width, rngs=rngs)
        self.position = nnx.Param(0.02 * jax.random.normal(rngs.params(), (16, width)))
        self.blocks = nnx.List([_Block(width, spread, rngs) for _ in range(depth)])
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, 8, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.embed(x) + self.position[...]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


def _encoder(spread: float = 1.0) -> Model:
    return flax_nnx(_Encoder(2, spread, nnx.Rngs(3)), *marked_token(300))


@sick(
    "attention one-hot",
    ("attention", "entropy", "one-hot", "softmax", "score"),
    _encoder,
    site="q",
    source="issue thread",
    training=Training(steps=200),
)
def attention_scores_of_100() -> Model:
    """Kernels of queries and keys ten times too large: scores have a std of a hundred, each token
    sees one other, and next to no gradient passes the softmax. Draw them as usual."""
    return _encoder(spread=10.0)


@healthy(source="paper", training=Training(steps=200))
def encoder_pre_norm() -> Model:
    """Two blocks with their norms in front, at a library's defaults."""
    return _encoder()


def _pure_attention(residual: bool, depth: int = 16, width: int = 32) -> Model:
    x, _ = marked_token(300)
    params = {
        "embed": gaussian(0, 12, width),
        "head": gaussian(1, width, 8),
        "layers": {name: gaussian(i, depth, width, width) for i, name in enumerate("qkvo", 2)},
    }

    def net(p, x):
        def layer(h, w):
            q, k, v = ((h @ w[name]).reshape(*h.shape[:2], 2, -1) for name in "qkv")
            made = attend(q, k, v).reshape(h.shape) @ w["o"]
            return (h + made / depth**0.5 if residual else made), None

        h, _ = jax.lax.scan(layer, x @ p["embed"], p["layers"])
        h = h - h.mean(-1, keepdims=True)
        h = h * jax.lax.rsqrt(jnp.square(h).mean(-1, keepdims=True) + 1e-5)
        return h @ p["head"]

    return Model(net, params, x, jnp.argmax(x[..., :8], -1))


@sick(
    "tokens all alike",
    ("alike", "same", "rank", "collapse", "vanish", "residual", "no spread", "constant"),
    lambda: _pure_attention(True),
    site="layers",
    source="paper",
)
def attention_without_residual() -> Model:
    """Sixteen layers of attention without residual connections: each averages the tokens further,
    until all are alike, where each should give its own code back. Add the layer's input."""
    return _pure_attention(False)


class _TiedLanguage(nn.Module):
    std: float

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        embed = nn.Embed(96, 48, embedding_init=nn.initializers.normal(self.std), name="wte")
        x = embed(tokens) + self.param("wpe", NORMAL, (tokens.shape[1], 48))
        for i in range(2):
            mask = nn.make_causal_mask(tokens)
            x = x + nn.MultiHeadDotProductAttention(4, name=f"attn_{i}")(
                nn.LayerNorm()(x), mask=mask
            )
            h = nn.gelu(nn.Dense(96, name=f"up_{i}")(nn.LayerNorm()(x)))
            x = x + nn.Dense(48, name=f"down_{i}")(h)
        return embed.attend(nn.LayerNorm()(x))


def _tied(std: float) -> Model:
    return linen(_TiedLanguage(std), *chain_of_tokens(16, 128, 96))


@sick(
    "tied embedding too large",
    ("loss", "cost", "logit", "embedding"),
    lambda: _tied(0.02),
    site="wte",
    source="question and answer",
    training=Training(steps=100),
)
def tied_embedding_of_std_1() -> Model:
    """An embedding of std 1 that is the output kernel too: logits have a std of sqrt(width), and
    the first cost is several times ln V. Draw it at std 0.02."""
    return _tied(1.0)


@healthy(source="paper")
def tied_embedding_of_std_002() -> Model:
    """The same with the embedding at std 0.02."""
    return _tied(0.02)


def _gpt(depth: int = 4, width: int = 48) -> Model:
    x, y = chain_of_tokens(16, 128, 64)
    tail = 0.02 / (2 * depth) ** 0.5

    def stacked(i, *shape, std=0.02):
        return std * jax.random.normal(jax.random.key(i), (depth, *shape))

    params = {
        "blocks": {
            "attn": {
                "qkv": stacked(1, width, 3 * width),
                "out": stacked(2, width, width, std=tail),
            },
            "mlp": {
                "up": stacked(3, width, 4 * width),
                "down": stacked(4, 4 * width, width, std=tail),
            },
            "scale": jnp.ones((depth, 2, width)),
        },
        "wpe": 0.02 * jax.random.normal(jax.random.key(5), (16, width)),
        "wte": 0.02 * jax.random.normal(jax.random.key(6), (64, width)),
    }
    causal = jnp.tril(jnp.ones((16, 16), bool))

    def norm(x, scale):
        x = x - x.mean(-1, keepdims=True)
        return scale * x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-5)

    @jax.checkpoint
    def block(x, w):
        n, steps, _ = x.shape
        qkv = norm(x, w["scale"][0]) @ w["attn"]["qkv"]
        q, k, v = (a.reshape(n, steps, 4, -1) for a in jnp.split(qkv, 3, -1))
        x = x + attend(q, k, v, causal).reshape(x.shape) @ w["attn"]["out"]
        h = jax.nn.gelu(norm(x, w["scale"][1]) @ w["mlp"]["up"])
        return x + h @ w["mlp"]["down"], None

    def net(p, tokens):
        x = p["wte"][tokens] + p["wpe"]
        x, _ = jax.lax.scan(block, x, p["blocks"])
        return norm(x, 1.0) @ p["wte"].T

    return Model(net, params, x, y)


@healthy(source="paper", training=Training(rate=3e-3))
def decoder_gpt_scan_remat() -> Model:
    """A decoder as published: std 0.02, kernels that end a branch divided by sqrt(2 depth); layers
    by a scan, recomputed in the backward pass."""
    return _gpt()


def _llama(width: int = 48) -> Model:
    x, y = chain_of_tokens(16, 128, 64)
    names = {"q": width, "k": width, "v": width, "o": width, "gate": 96, "up": 96}
    params = {"embed": gaussian(0, 64, width) * 64**0.5, "head": gaussian(1, width, 64)}
    for i in range(2):
        block = {name: gaussian(10 * i + j, width, n) for j, (name, n) in enumerate(names.items())}
        block["down"] = gaussian(10 * i + 9, 96, width)
        params[f"block_{i}"] = block | {"norm": jnp.ones((2, width))}
    causal = jnp.tril(jnp.ones((16, 16), bool))
    angle = jnp.arange(16)[:, None, None] / 1e4 ** (jnp.arange(0, 12, 2) / 12)

    def rms(x, scale=1.0):
        return scale * x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6)

    def turned(x):
        a, b = jnp.split(x, 2, -1)
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)

    def net(p, tokens):
        x = p["embed"][tokens]
        for i in range(2):
            w = p[f"block_{i}"]
            h = rms(x, w["norm"][0])
            q, k, v = ((h @ w[name]).reshape(*x.shape[:2], 4, 12) for name in "qkv")
            x = x + attend(turned(q), turned(k), v, causal).reshape(x.shape) @ w["o"]
            h = rms(x, w["norm"][1])
            x = x + (jax.nn.silu(h @ w["gate"]) * (h @ w["up"])) @ w["down"]
        return rms(x) @ p["head"]

    return Model(net, params, x, y)


@healthy(source="paper", training=Training(rate=3e-3))
def decoder_swiglu_rotary() -> Model:
    """A decoder with RMS norms, rotary positions and gated MLPs, kernels by fan-in."""
    return _llama()


def _patches(x: jax.Array) -> jax.Array:
    return x.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)


class _VisionTransformer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Dense(48, name="embed")(_patches(x))
        token = self.param("cls", ZEROS, (1, 1, 48))
        x = jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, 48)), x], 1)
        x = x + self.param("position", NORMAL, (1, 17, 48))
        xavier = nn.initializers.xavier_uniform()
        for i in range(2):
            attention = nn.MultiHeadDotProductAttention(3, kernel_init=xavier, name=f"attn_{i}")
            x = x + attention(nn.LayerNorm()(x))
            h = nn.gelu(nn.Dense(96, kernel_init=xavier, name=f"up_{i}")(nn.LayerNorm()(x)))
            x = x + nn.Dense(48, kernel_init=xavier, name=f"down_{i}")(h)
        return nn.Dense(10, kernel_init=ZEROS, name="head")(nn.LayerNorm()(x)[:, 0])


@healthy(source="paper", training=Training(rate=2e-3))
def vision_transformer_zero_head() -> Model:
    """A vision transformer as published: class token and head of 0, kernels by Glorot's rule."""
    return linen(_VisionTransformer(), *images(192))


class _Modulated(nn.Module):
    """A denoiser whose block is scaled, shifted and gated by the noise level, from zeros."""

    @nn.compact
    def __call__(self, x: dict) -> jax.Array:
        level = x["level"][:, None]
        waves = level * jnp.exp(jnp.linspace(0.0, 5.0, 8))
        c = nn.Dense(48, name="level")(jnp.concatenate([jnp.sin(waves), jnp.cos(waves)], -1))
        h = nn.Dense(48, name="embed")(_patches(x["noisy"]))
        h = h + self.param("position", NORMAL, (1, 16, 48))
        plain = {"use_scale": False, "use_bias": False}
        six = nn.Dense(6 * 48, kernel_init=ZEROS, name="modulation")(nn.silu(c))
        a, b, gate, d, e, gate_2 = jnp.split(six[:, None], 6, -1)
        attention = nn.MultiHeadDotProductAttention(4, name="attn")
        h = h + gate * attention(nn.LayerNorm(**plain)(h) * (1 + a) + b)
        up = nn.gelu(nn.Dense(96, name="up")(nn.LayerNorm(**plain)(h) * (1 + d) + e))
        h = h + gate_2 * nn.Dense(48, name="down")(up)
        return nn.Dense(4, kernel_init=ZEROS, name="out")(nn.LayerNorm(**plain)(h))


@healthy(source="paper", training=Training(rate=2e-3))
def diffusion_transformer_zero_gates() -> Model:
    """A diffusion transformer as published: modulations and the output kernel are 0, so that
    the block starts as the identity and opens with the first steps."""
    x, _ = images(192)
    level = jax.random.uniform(jax.random.key(2), (192,))
    noise = jax.random.normal(jax.random.key(3), x.shape)
    noisy = jnp.cos(level * 1.5)[:, None, None, None] * x
    noisy = noisy + jnp.sin(level * 1.5)[:, None, None, None] * noise

    def loss(out, noise):
        return jnp.square(out - noise).mean((1, 2))

    return linen(_Modulated(), {"level": level, "noisy": noisy}, _patches(noise), loss=loss)
