"""Captions, their summaries and what is asked of them (LLoVi and its neighbours)."""
