"""What is measured at each site, as pure functions."""
