"""The results of a run: their schema, and questions asked of them."""
