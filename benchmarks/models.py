"""Networks of the sizes that people train, as (apply_fn, init, x, y), for the benchmarks."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

IMAGE, PATCH, CLASSES = 224, 16, 1000
VOCABULARY, CONTEXT = 8192, 128


class Case(NamedTuple):
    """A model with its data: ``apply_fn(params, x) -> logits``, labels ``y`` of the last axis."""

    apply_fn: Callable[[Any, Any], jax.Array]
    params: Any
    x: jax.Array
    y: jax.Array


class Block(nn.Module):
    """A pre-norm transformer block."""

    heads: int
    causal: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        mask = nn.make_causal_mask(x[..., 0]) if self.causal else None
        width = x.shape[-1]
        h = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.heads)(h, h, mask=mask)
        h = nn.Dense(4 * width)(nn.LayerNorm()(x))
        return x + nn.Dense(width)(nn.gelu(h))


class ViT(nn.Module):
    """A vision transformer: patches, a token for the class, blocks, a head."""

    width: int = 384
    depth: int = 12
    heads: int = 6

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Conv(self.width, (PATCH, PATCH), (PATCH, PATCH))(x)
        x = x.reshape(len(x), -1, self.width)
        token = self.param("token", nn.initializers.zeros, (1, 1, self.width))
        x = jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, self.width)), x], 1)
        places = nn.initializers.normal(0.02)
        x = x + self.param("places", places, (1, x.shape[1], self.width))
        for _ in range(self.depth):
            x = Block(self.heads)(x)
        return nn.Dense(CLASSES)(nn.LayerNorm()(x)[:, 0])


class GPT(nn.Module):
    """A language model: causal blocks between two tables."""

    width: int = 768
    depth: int = 12
    heads: int = 12

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        x = nn.Embed(VOCABULARY, self.width)(tokens)
        x = x + nn.Embed(CONTEXT, self.width)(jnp.arange(tokens.shape[1]))
        for _ in range(self.depth):
            x = Block(self.heads, causal=True)(x)
        return nn.Dense(VOCABULARY, use_bias=False)(nn.LayerNorm()(x))


class Bottleneck(nn.Module):
    """A residual block of three convolutions."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        norm = partial(nn.BatchNorm, use_running_average=False)
        h = nn.relu(norm()(nn.Conv(self.width, (1, 1), use_bias=False)(x)))
        strides = (self.stride, self.stride)
        h = nn.relu(norm()(nn.Conv(self.width, (3, 3), strides, use_bias=False)(h)))
        h = norm(scale_init=nn.initializers.zeros)(
            nn.Conv(4 * self.width, (1, 1), use_bias=False)(h)
        )
        if x.shape != h.shape:
            x = norm()(nn.Conv(4 * self.width, (1, 1), strides, use_bias=False)(x))
        return nn.relu(x + h)


class ResNet(nn.Module):
    """A residual network of bottlenecks; (3, 4, 6, 3) is ResNet-50."""

    stages: tuple[int, ...] = (3, 4, 6, 3)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Conv(64, (7, 7), (2, 2), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for stage, blocks in enumerate(self.stages):
            for block in range(blocks):
                x = Bottleneck(64 * 2**stage, 2 if stage and not block else 1)(x)
        return nn.Dense(CLASSES)(x.mean((1, 2)))


class Plain(nn.Module):
    """The paper's network."""

    width: int = 1000
    depth: int = 5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.depth):
            x = nn.tanh(nn.Dense(self.width)(x))
        return nn.Dense(9)(x)


def vit(n: int = 8, **size: int) -> Case:
    """ViT-S/16 on images."""
    return _on_images(ViT(**size), n)


def resnet(n: int = 8) -> Case:
    """ResNet-50 on images, with the statistics of the batch."""
    model = ResNet()
    case = _on_images(model, n)

    def apply_fn(variables: Any, x: jax.Array) -> jax.Array:
        logits, _ = model.apply(variables, x, mutable=["batch_stats"])
        return logits

    return case._replace(apply_fn=apply_fn, params={"params": case.params["params"]})


def gpt(n: int = 4, **size: int) -> Case:
    """A 12-layer, 768-wide language model on token ids."""
    model = GPT(**size)
    tokens = jax.random.randint(jax.random.key(0), (n, CONTEXT + 1), 0, VOCABULARY)
    x, y = tokens[:, :-1], tokens[:, 1:]
    return Case(model.apply, jax.jit(model.init)(jax.random.key(1), x), x, y)


def plain(n: int = 300, **size: int) -> Case:
    """The paper's 5 x 1000 on as many inputs as a Shapeset image has pixels."""
    model = Plain(**size)
    x = jax.random.normal(jax.random.key(0), (n, 1024))
    return Case(model.apply, model.init(jax.random.key(1), x), x, jnp.arange(n) % 9)


def _on_images(model: nn.Module, n: int) -> Case:
    x = jax.random.normal(jax.random.key(0), (n, IMAGE, IMAGE, 3))
    params = jax.jit(model.init)(jax.random.key(1), x)
    return Case(model.apply, params, x, jnp.arange(n) % CLASSES)
