"""Ingest: tools as graph nodes, and the graph that indexes a video once."""
