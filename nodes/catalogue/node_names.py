"""What the loaders are called, for the messages of what they load."""

LOAD_ENGINE, LOAD_RENDERER = "Load Motion Engine", "Load Portrait Renderer"
LOAD_ENCODER, LOAD_EXTRACTOR = "Load Speech Encoder", "Load Keypoint Extractor"
