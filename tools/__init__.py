"""What looks at a video: the Tool contract, one file a tool, and video reading."""

import os

# What libraries would tell their makers. They read this once, when they are imported, so it stands
# where no import of ours gets past it; child processes inherit it. ONNX Runtime reports every
# process and takes no later word (`disable_telemetry_events`); the Hugging Face hub is asked for a
# list even where files may only be local.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
