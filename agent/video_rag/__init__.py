"""Video-RAG: auxiliary texts of a video, requested, extracted, retrieved and read."""
