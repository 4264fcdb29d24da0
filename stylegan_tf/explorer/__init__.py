"""A page to play with a network: sliders in the browser, the picture from one traced call."""

import os

# Before Gradio is imported, which is when it asks: nothing is told to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
