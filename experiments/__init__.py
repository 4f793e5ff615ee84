"""Launching, checkpointing and reporting: everything with files, clocks and flags."""
