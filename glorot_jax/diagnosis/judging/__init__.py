"""From numbers to causes: what theory expects, and what is wrong."""
