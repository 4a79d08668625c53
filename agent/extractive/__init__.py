"""The reader for models too small to read: English rules that rank, quote and check lines."""
