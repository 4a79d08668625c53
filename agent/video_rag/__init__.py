"""Auxiliary texts of a video: asked for, looked for, ranked and read (Video-RAG)."""
