"""Tools that find evidence in a video: the Tool contract, one module per tool, and decoding."""

import os

# Telemetry off. Libraries read these variables once, at import, so they are set before any other
# import of this package; child processes inherit them. ONNX Runtime reports every process, and
# `disable_telemetry_events` comes too late; huggingface_hub requests a list even where only local
# files are allowed.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
