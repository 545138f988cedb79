"""A pack of one node, on the server that makes the pictures: what a speech encoder heard, as a picture."""


class HelpPictureFeatures:
    """AUDIO_ENCODER_OUTPUT to an image: a column for every feature vector, bright where a channel is high."""

    INPUT_TYPES = classmethod(lambda cls: {"required": {"heard": ("AUDIO_ENCODER_OUTPUT",)}})
    RETURN_TYPES, FUNCTION, CATEGORY = ("IMAGE",), "draw", "talking portrait/help"

    def draw(self, heard):
        features = heard["encoded_audio"][0].float().cpu()
        scaled = (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
        return ((scaled.T / 4 + 0.5).clamp(0, 1)[None, :, :, None].expand(-1, -1, -1, 3),)


NODE_CLASS_MAPPINGS = {"HelpPictureFeatures": HelpPictureFeatures}
