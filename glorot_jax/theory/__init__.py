"""What should be measured: predictions in plain NumPy, independent of the probes."""

from glorot_jax.theory.linear import LinearRegime, mean_singular_value, predict

__all__ = ["LinearRegime", "mean_singular_value", "predict"]
