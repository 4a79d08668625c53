"""What looks at a video: the Tool contract, one file a tool, and video reading."""
