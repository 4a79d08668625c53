"""Temporal grounding: when in a video something is shown or said."""
