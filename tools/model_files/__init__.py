"""Weights that no dependency brings along: where they come from and whether they are whole."""
