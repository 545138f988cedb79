"""The pictures of benchmarks/faces.py: found in packages at run time, none of them kept here."""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image
from talking_portrait.training.data.cartoon import cartoon_face

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = "comfyui_workflow_templates_media_{}/templates/{}-1.webp"
SOURCE = "face_recognition==1.3.0"  # its source distribution holds photos for its tests
KEPT = Path(tempfile.gettempdir()) / "talking_portrait_face_pictures"


@dataclass(frozen=True)
class Picture:
    """name: what it shows. place: package/file. kind: photo, drawn or none (no human-like face). edit: by code."""

    name: str
    place: str
    kind: str = "photo"
    edit: str = ""


def template(name: str, group: str, file: str, kind: str = "photo", edit: str = "") -> Picture:
    """A picture of ComfyUI's workflow templates."""
    return Picture(name, TEMPLATES.format(group, file), kind, edit)


def test_photo(name: str, file: str, edit: str = "") -> Picture:
    """A photo of the source distribution."""
    return Picture(name, f"{SOURCE}/tests/test_images/{file}", "photo", edit)


PICTURES = (
    Picture("shipped sample", "samples/talking_portrait_astronaut.png"),
    test_photo("smile with teeth", "obama.jpg"),
    test_photo("shout, both rows", "obama2.jpg"),
    test_photo("small in a large photo", "obama3.jpg"),
    test_photo("half a face cut off", "obama_partial_face2.jpg"),
    test_photo("old man", "biden.jpg"),
    test_photo("old man, grey", "biden.jpg", "grey"),
    test_photo("shout, grey", "obama2.jpg", "grey"),
    test_photo("old man, rolled 15", "biden.jpg", "roll 15"),
    test_photo("smile, rolled 30", "obama.jpg", "roll 30"),
    test_photo("old man, face of 60 px", "biden.jpg", "scale 0.21"),
    test_photo("old man, 4000 px", "biden.jpg", "scale 1.8"),
    template("low brows, cap, child", "api", "api_bytedance_seedance1_5_image_to_video"),
    template("tight frontal", "api", "api_runway_text_to_image"),
    template("three-quarter, long hair", "api", "api_bytedance_image_to_video"),
    template("almost profile, child", "api", "api_topaz_video_enhance"),
    template("old woman", "api", "api_vidu_q2_t2v"),
    template("sunglasses, white frame", "assets_01", "api_heygen_talking_photo"),
    template("glasses, long hair", "api", "api_stability_ai_stable_image_ultra_t2i"),
    template("flowers over the face", "assets_01", "image_qwen_image_edit_2511_int8"),
    template("curly child", "image", "api_magnific_image_relight"),
    template("side light, tight", "image", "api_magnific_image_upscale_precise"),
    template("forehead and chin cut", "image", "api_magnific_skin_enhancer"),
    template("blonde, plain wall", "image", "flux1_krea_dev"),
    template("broad smile", "image", "flux_dev_checkpoint_example"),
    template("smile, leaves", "image", "hidream_e1_1"),
    template("veil", "image", "hidream_i1_dev"),
    template("stubble, turned, blur", "image", "image_boogu_image_0_1_turbo_t2i"),
    template("grey beard, neon", "image", "image_hidream_o1_dev"),
    template("sunglasses, orange wall", "image", "image_longcat_text_to_image"),
    template("beard, grey, three-quarter", "image", "image_qwen_image_2512_with_2steps_lora"),
    template("long curls", "image", "image_z_image_turbo"),
    template("sliver of teeth, shadow", "image", "image_z_image_turbo_fun_union_controlnet"),
    template("wet hair, back light", "image", "sd3.5_simple_example"),
    template("ball at the cheek", "image", "templates-portrait_light_migration"),
    template("freckles, frontal", "image", "video_ltx2_i2v"),
    template("hand and bottle", "other", "template_image_speech_to_video"),
    template("two people", "image", "utility_hitpaw_video_enhance"),
    template("wavy hair, smile", "video", "video_wan2_2_14B_t2v"),
    template("painted, van Gogh", "video", "video_wan2_2_14B_flf2v"),
    template("red beret, glasses", "video", "api_kling_avatar2", "drawn"),
    template("render, elf, green", "api", "api_veo2_i2v", "drawn"),
    template("pop art", "api", "api_bfl_flux_1_kontext_pro_image", "drawn"),
    template("ink lines", "assets_01", "image_anima_lllite_any_control_to_image", "drawn"),
    template("render, pink elf", "image", "image_qwen_image_controlnet_patch", "drawn"),
    template("cel, cyberpunk", "image", "hidream_e1_full", "drawn"),
    template("anime, jacket", "other", "template_qwen_image_illustration_lora", "drawn"),
    Picture("render, fox girl", "comfyui_embedded_docs/docs/Canny/asset/input.webp", "drawn"),
    Picture("cartoon by code", "", "drawn"),
    Picture("cat", "skimage/data/chelsea.png", "none"),
    template("dragon", "image", "sd3.5_large_depth", "none"),
    template("otter", "api", "api_bria_image_outpainting", "none"),
)  # fmt: skip


def pictures() -> Iterator[tuple[Picture, Image.Image]]:
    """Every picture that can be found, as RGB; what is missing is said."""
    for picture in PICTURES:
        path = find(picture.place)
        if picture.place and path is None:
            print(f"{picture.name}: {picture.place} is not installed")
            continue
        opened = cartoon_face(512) if path is None else Image.open(path)
        opened.seek(0)
        yield picture, edited(opened.convert("RGB"), picture.edit)


def find(place: str) -> Path | None:
    """The file of a place, in this repository, an installed package or the source distribution."""
    package, _, inside = place.partition("/")
    if package == SOURCE:
        return downloaded() / inside
    spec = find_spec(package) if package.isidentifier() and package != "samples" else None
    folders = [*(spec.submodule_search_locations or [])] if spec else [ROOT / package]
    return next((Path(folder) / inside for folder in folders if (Path(folder) / inside).is_file()), None)


def downloaded() -> Path:
    """The unpacked source distribution, fetched with pip once."""
    target = KEPT / SOURCE.replace("==", "-")
    if not target.is_dir():
        KEPT.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*command, "--dest", str(KEPT), SOURCE], check=True)
        with tarfile.open(next(KEPT.glob("*.tar.gz"))) as archive:
            archive.extractall(KEPT, filter="data")
    return target


def edited(picture: Image.Image, edit: str) -> Image.Image:
    """The picture grey, rolled by degrees or scaled by a factor."""
    what, _, amount = edit.partition(" ")
    if what == "grey":
        return picture.convert("L").convert("RGB")
    if what == "roll":
        return picture.rotate(float(amount), Image.Resampling.BICUBIC, expand=True, fillcolor=(90, 90, 90))
    if what == "scale":
        size = (int(picture.width * float(amount)), int(picture.height * float(amount)))
        return picture.resize(size, Image.Resampling.LANCZOS)
    return picture
