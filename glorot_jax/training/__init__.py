"""Training: one update, an ensemble of members on a device mesh, and the loop over both."""
