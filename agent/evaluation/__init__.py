"""Evaluation metrics of answers."""
