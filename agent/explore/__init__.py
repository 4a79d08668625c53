"""Explore: a model that calls tools looks around by itself."""
