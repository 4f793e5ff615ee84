"""The finite data sets, by TFDS without TensorFlow."""
