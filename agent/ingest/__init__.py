"""Every tool as a node of the graph, and the graph that looks at a video once."""
