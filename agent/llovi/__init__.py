"""LLoVi (Zhang et al., arXiv 2312.17235)."""
