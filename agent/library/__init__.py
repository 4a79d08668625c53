"""What is known about videos, on disk."""
