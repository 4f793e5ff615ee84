"""Pure predicates, one file per thing measured; each takes one part of the results."""
