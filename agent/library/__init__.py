"""The library: everything stored about videos, on disk."""
