"""The types of sockets beside core's usual ones, in one place: the pack's own, and core's that have no class."""

from comfy_api.latest import io

FaceMotion = io.Custom("FACE_MOTION")  # what a face does over time: models/face_motion/container.py
MotionEngine = io.Custom("MOTION_ENGINE")  # speech to motion: models/contracts.py, as the next four
MotionSampler = io.Custom("MOTION_SAMPLER")
KeypointExtractor = io.Custom("KEYPOINT_EXTRACTOR")
PortraitRenderer = io.Custom("PORTRAIT_RENDERER")
LiveMotion = io.Custom("LIVE_MOTION")  # a live voice between two runs
Portrait = io.Custom("PORTRAIT")  # one face of a picture, prepared by a renderer
Footage = io.Custom("FOOTAGE")  # a film of one person, learnt: models/footage/footage.py
FaceCrops = io.Custom("FACE_CROPS")  # where crops of a face lie in a film: models/face/crops.py
FantasyTalking = io.Custom("FANTASYTALKING")  # its own weights, beside core's Wan MODEL
ACTalkerAudio, ACTalkerMotion = io.Custom("ACTALKER_AUDIO"), io.Custom("ACTALKER_MOTION")  # tokens by frame

FaceLandmarks, FaceDetectionModel = io.Custom("FACE_LANDMARKS"), io.Custom("FACE_DETECTION_MODEL")
BoundingBox = io.Custom("BOUNDING_BOX")  # as a socket only: the page's own widget would always hold some box
PoseKeypoint = io.Custom("POSE_KEYPOINT")


class MaskPerFrame(io.Mask.Input):
    """A MASK input that takes one mask, or one for each frame (gates/sockets.py)."""

    one_per_frame = True
