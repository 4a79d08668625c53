"""Several methods on one question, side by side."""
