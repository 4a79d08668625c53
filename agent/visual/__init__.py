"""What a frozen vision-language model is shown of a video: frames, grids, thumbnails, tokens.

Plain functions and frozen records for IG-VLM, TS-LLaVA, SlowFast-LLaVA, FreeVA and Free
Video-LLM. Nothing here knows the graph; tensors stay in here, plans leave as plain data.
"""
