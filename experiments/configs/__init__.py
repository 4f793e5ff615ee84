"""One file a figure or table, each ``get_config(preset)``; all are composed from ``base``."""
