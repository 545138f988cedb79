"""What several tests of nodes share."""

import folder_paths
import pytest
import torch
from talking_portrait.nodes.catalogue.weight_files import register_folders

from .good_inputs import Bench

register_folders()  # menus list them


@pytest.fixture(scope="module")
def bench(tmp_path_factory, models, actalker_weights, fantasytalking_weights):
    """Right inputs; ComfyUI's folders are scratch ones, and its models those of random numbers."""
    before = {name: (paths[:], kinds) for name, (paths, kinds) in folder_paths.folder_names_and_paths.items()}
    places = {
        name: getattr(folder_paths, name)
        for name in ("output_directory", "temp_directory", "input_directory", "models_dir")
    }
    scratch = tmp_path_factory.mktemp("comfyui")
    for name in ("output_directory", "temp_directory", "input_directory"):
        (scratch / name).mkdir()
        setattr(folder_paths, name, str(scratch / name))
    folder_paths.models_dir = str(models)
    register_folders()
    for name in ("actalker", "audio_encoders", "diffusion_models", "model_patches", "vae"):
        folder_paths.add_model_folder_path(name, str(models / name), is_default=True)
    with torch.inference_mode():
        yield Bench(models)
    for name, value in places.items():
        setattr(folder_paths, name, value)
    folder_paths.folder_names_and_paths.update(before)
    folder_paths.filename_list_cache.clear()
