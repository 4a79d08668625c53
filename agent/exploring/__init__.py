"""What a model needs to explore a video by itself: tools, memory, limits and an end."""
