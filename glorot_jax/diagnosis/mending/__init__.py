"""Kernel scales that mend a network."""
