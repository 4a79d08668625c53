"""The pictures that a model is shown: which, and as which files."""
