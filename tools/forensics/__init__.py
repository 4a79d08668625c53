"""Measurements of a clip that may be AI-generated: one small file each, all on the same frames."""
