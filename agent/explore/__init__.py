"""Explore: an agent loop in which the model calls tools on the video."""
