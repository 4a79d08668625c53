"""Visual input of a frozen vision-language model: frames, grids, thumbnails, visual tokens.

Plain functions and frozen records for IG-VLM, TS-LLaVA, SlowFast-LLaVA, FreeVA and Free
Video-LLM. Independent of the graph; tensors stay in here, plans leave as plain data.
"""
