"""Frozen models: chat models behind one contract, embedders, and the pool that owns them."""
