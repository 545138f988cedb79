"""The first picture as the published script prepares it."""

import torch
from PIL import Image
from torch import Tensor

MULTIPLE = 16


def scaled_size(width: int, height: int, longest: int) -> tuple[int, int]:
    """Width and height whose longer side is `longest`, cut to whole pixels, but to one at least."""
    factor = longest / max(width, height)
    return max(int(width * factor), 1), max(int(height * factor), 1)


def final_size(width: int, height: int) -> tuple[int, int]:
    """Both sides up to the next multiple of 16."""
    return -(-width // MULTIPLE) * MULTIPLE, -(-height // MULTIPLE) * MULTIPLE


def prepared_picture(image: Tensor, longest: int) -> Tensor:
    """[H,W,C] in 0..1, C 1, 3 or 4 -> [h,w,3]: Lanczos to the longest edge, then bicubic to multiples of 16,
    which changes the aspect slightly."""
    pixels = (image[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, -1, 3)
    picture = Image.fromarray(pixels.contiguous().cpu().numpy())
    size = scaled_size(*picture.size, longest)
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    if final_size(*size) != size:
        picture = picture.resize(final_size(*size))
    return (
        torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        .reshape(*reversed(picture.size), 3)
        .float()
        / 255
    )
