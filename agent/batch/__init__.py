"""Many questions of many videos, answered on workers; each result is on disk at once."""
