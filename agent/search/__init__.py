"""Search and questions over many videos, and folders that are watched."""
