"""A model's equations: its sites, and how to run it with each one exposed."""
