"""A face cut out of a film along its track, for any model that draws faces, and pasted back."""

import torch
from comfy_api.latest import io

from ..models.face.crops import REGIONS, FaceCrops, crop_faces, face_squares, paste_face
from ..models.face.following import follow_face, missing_text
from . import sockets
from .dubbing import CATEGORY
from .gates import Node
from .progress import ticker

CROP, PASTE = "Crop Face from Video", "Paste Face into Video"


class CropFaceFromVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitCropFaceFromVideo",
            display_name=CROP,
            category=CATEGORY,
            description="Square pictures of one face that follow it calmly through a film, with a mask of its mouth: "
            "what inpainting and video models want.",
            search_aliases=["face crop", "track face", "inpaint mouth", "stabilize face", "infinitetalk", "latentsync"],
            inputs=[
                io.Image.Input("images", tooltip="The film's frames, from Get Video Components."),
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same frames."
                ),
                io.Int.Input(
                    "face_index", default=0, min=0, max=63,
                    tooltip="Which face of the first frame: 0 is the largest. It is then followed.",
                ),
                io.Int.Input(
                    "size", default=512, min=64, max=4096, step=8, tooltip="Width and height of the crops in pixels."
                ),
                io.Float.Input(
                    "scale", default=1.8, min=1.0, max=6.0, step=0.1,
                    tooltip="How large the square is, in heights of the face.",
                ),
                io.Combo.Input(
                    "region", options=list(REGIONS),
                    tooltip="What the mask shows: the mouth with chin and what is around it, or the whole face.",
                ),
                io.Float.Input(
                    "grow", default=0.0, min=-512.0, max=512.0, step=1.0, advanced=True,
                    tooltip="Moves the mask's edge outwards by so many pixels of the crop; negative inwards.",
                ),
                io.Float.Input(
                    "feather", default=24.0, min=0.0, max=512.0, step=1.0, advanced=True,
                    tooltip="Width of the mask's soft edge in pixels of the crop; 0 is a hard edge.",
                ),
                io.Float.Input(
                    "smoothing", default=4.0, min=0.0, max=100.0, step=0.5, advanced=True,
                    tooltip="Frames over which the square's way is smoothed; 0 follows every tremor.",
                ),
                io.Combo.Input(
                    "missing_face", options=["error", "bridge"],
                    tooltip="Frames without the face: stop and say which, or go on from the frames beside them.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", optional=True, extra_dict={"forceInput": True},
                    tooltip="Instead of the index: the face in this box (pixels), which is then followed.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="crops", tooltip="One square picture for each frame."),
                io.Mask.Output(display_name="masks", tooltip="White on the region, in each crop."),
                sockets.FaceCrops.Output(display_name="face_crops", tooltip="For Paste Face into Video."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, images, face_landmarks, face_index, size, scale, region, grow, feather, smoothing, missing_face,
        face_box=None,
    ) -> io.NodeOutput:  # fmt: skip
        found = follow_face(face_landmarks, face_index, face_box)
        if len(found) != len(images):
            raise ValueError(
                f"images has {len(images)} frames, but face_landmarks {len(found)}; give both one video."
            )
        if missing_face == "error" and (missing := missing_text(found, face_landmarks)):
            raise ValueError(f"{missing}. Choose missing_face: bridge, or another video.")
        squares = face_squares(found, scale, smoothing)
        crops, places = crop_faces(images.cpu(), found, squares, size, region, grow, feather)
        return io.NodeOutput(crops, places.masks, places)


class PasteFaceIntoVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        masks = sockets.MaskPerFrame(
            "mask", optional=True,
            tooltip="White where the crops are to be seen, in their size: one, or one for each. Empty: the masks of "
            "Crop Face from Video.",
        )  # fmt: skip
        return io.Schema(
            node_id="TalkingPortraitPasteFaceIntoVideo",
            display_name=PASTE,
            category=CATEGORY,
            description="Puts crops of Crop Face from Video, drawn anew by any model, back to where they were. Outside "
            "the mask every pixel stays.",
            search_aliases=["face crop", "uncrop", "stitch", "inpaint stitch"],
            inputs=[
                io.Image.Input("images", tooltip="The film's frames, as Crop Face from Video got them."),
                io.Image.Input("crops", tooltip="The crops, drawn anew; square, of any size."),
                sockets.FaceCrops.Input("face_crops", tooltip="From Crop Face from Video."),
                masks,
            ],
            outputs=[io.Image.Output(tooltip="The film's frames with the new faces.")],
        )

    @classmethod
    def execute(cls, images, crops, face_crops: FaceCrops, mask=None) -> io.NodeOutput:
        count, height, width = len(face_crops), *face_crops.frame
        if tuple(images.shape[:3]) != (count, height, width):
            raise ValueError(
                f"images has {images.shape[0]} frames of {images.shape[2]}x{images.shape[1]}, but face_crops is of "
                f"{count} frames of {width}x{height}; connect the film that was cropped."
            )
        if len(crops) != count:
            raise ValueError(
                f"crops has {len(crops)} pictures, but face_crops is of {count}; give one for each frame."
            )
        if crops.shape[1] != crops.shape[2]:
            raise ValueError(
                f"crops is {crops.shape[2]}x{crops.shape[1]}; it must be square, as it was cropped."
            )
        masks = face_crops.masks if mask is None else mask.float().cpu()
        if len(masks) not in (1, count):
            raise ValueError(
                f"mask holds {len(masks)} masks, but there are {count} frames; give 1 or {count}."
            )
        if len(masks) == 1 and not masks.any():
            raise ValueError(
                "mask is black everywhere, so nothing would be pasted. Paint white what is to be seen, or take it out."
            )
        frames = images[..., :3].expand(-1, -1, -1, 3).cpu()
        tick, result = ticker(), torch.empty_like(frames)
        for number, square in enumerate(face_crops.squares):
            crop = crops[number, ..., :3].float().cpu().expand(-1, -1, 3)
            result[number] = paste_face(frames[number], crop, masks[number % len(masks)], square)
            tick(number + 1, count)
        return io.NodeOutput(result)


NODES = [CropFaceFromVideo, PasteFaceIntoVideo]
