"""How signals move through deep networks: Glorot & Bengio (2010) in JAX."""

__version__ = "0.1.0"
