"""People and objects."""
