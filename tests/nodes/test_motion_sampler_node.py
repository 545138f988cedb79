"""The node Motion Sampler, and the socket that takes what it makes."""

import sys

import pytest
import torch
from talking_portrait.models.sampling import DDIM, DDPM, SCHEDULERS, DiffusersSampler
from talking_portrait.nodes.catalogue import engines
from talking_portrait.nodes.catalogue.weight_files import register_folders
from talking_portrait.nodes.loaders import LoadMotionEngine
from talking_portrait.nodes.sampler import SAMPLERS, MotionSamplerNode

from ..models.motion_samples import same
from .test_engine_options import spoken

READERS = ["KDTalker", "JoyVASA", "Takin-ADA"]


@pytest.fixture(autouse=True)
def running():
    """As inside ComfyUI."""
    register_folders()
    with torch.inference_mode():
        yield


def sampler(choice, **given):
    return MotionSamplerNode.execute(choice, **{"steps": 0, "window": 0, **given}).result[0]


def takin(**options):
    return LoadMotionEngine.execute({"engine": "Takin-ADA", **options}).result[0]


def test_each_choice_makes_its_sampler():
    assert list(SAMPLERS) == ["ddim", "ddpm", "pndm", "dpm-solver++", "unipc", "euler"]
    assert sampler("ddim") == DDIM() and sampler("ddpm", steps=7, window=30) == DDPM(7, 30)
    assert sampler({"sampler": "ddim", "eta": 0.5}, steps=6) == DDIM(6, eta=0.5)
    for name in SCHEDULERS:
        assert sampler(name, steps=5) == DiffusersSampler(name, 5)


def test_prompts_spell_the_inputs_of_a_choice_after_the_menu():
    found = MotionSamplerNode.execute(**{"sampler": "ddim", "sampler.eta": 1.0, "steps": 3, "window": 0})
    assert found.result[0] == DDIM(3, eta=1.0)


@pytest.mark.parametrize(("given", "reason"), [
    ({"sampler": {"sampler": "ddpm", "eta": 0.5}}, "eta is set, but ddpm does not read it"),
    ({"sampler": {"sampler": "ddim", "eta": 1.5}}, "eta is 1.5; it must be from 0 to 1"),
    ({"sampler": "heun"}, "sampler is 'heun', which is not in its menu; choose one of: ddim, ddpm, pndm"),
    ({"sampler": "ddim", "steps": 1001}, "steps is 1001; it must be from 0 to 1000"),
    ({"sampler": "ddim", "window": -1}, "window is -1; it must be from 0 to 1000"),
])  # fmt: skip
def test_what_a_choice_does_not_read_is_refused_by_name(given, reason):
    with pytest.raises(ValueError, match=f"^Motion Sampler: {reason}"):
        MotionSamplerNode.execute(**{"steps": 0, "window": 0, **given})


def test_every_engine_of_diffusion_has_the_socket_and_no_other():
    (menu,) = LoadMotionEngine.define_schema().inputs
    for option in menu.options:
        sockets = [own for own in option.inputs if own.io_type == "MOTION_SAMPLER"]
        assert [own.id for own in sockets] == (["sampler"] if option.key in READERS else [])
        assert all(own.optional for own in sockets)
    with pytest.raises(ValueError, match="sampler is set, but built-in does not read it"):
        LoadMotionEngine.execute({"engine": "built-in", "sampler": DDIM()})


@pytest.mark.parametrize("choice", ["ddpm", "unipc"])
def test_a_connected_sampler_draws_the_motion(choice):
    engine = takin(sampler=sampler(choice, steps=3))
    motion, own = spoken(engine), spoken(takin())
    assert motion.source["sampler"] == choice and motion.source["steps"] == 3
    assert not same(motion, own, 1e-4) and same(motion, spoken(engine), 0)


def test_the_engine_s_own_sampler_on_the_socket_changes_nothing():
    assert same(spoken(takin(sampler=sampler("ddim"))), spoken(takin()), 0)


@pytest.mark.parametrize(("engine", "default"), [("KDTalker", 10), ("JoyVASA", 0), ("Takin-ADA", 10)])
def test_steps_in_two_places_are_refused_with_the_one_to_change(monkeypatch, engine, default):
    monkeypatch.setattr("talking_portrait.nodes.catalogue.menu.check_files", lambda entry, given: None)
    said = (
        "Load Motion Engine: steps is 7, but sampler is connected and has steps of its own. Set steps here "
        f"back to {default} and give the number in Motion Sampler, or take sampler off."
    )
    with pytest.raises(ValueError) as error:
        LoadMotionEngine.execute({"engine": engine, "steps": 7, "sampler": DDIM(steps=7)})
    assert str(error.value) == said
    assert default == next(
        option.default
        for entry in engines.OWN
        if entry.id == engine
        for option in entry.options
        if option.id == "steps"
    )


class Halfway:
    """Somebody's sampler that goes to the clean motion at once."""

    id, steps, window = "halfway", 1, 0

    def sample(self, predict, latent, schedule, noise, each):
        clean = predict(latent, len(schedule.alpha_bars) - 1)
        each(clean)
        return clean


def test_another_pack_s_sampler_works():
    motion = spoken(takin(sampler=Halfway()))
    assert motion.source["sampler"] == "halfway" and same(motion, spoken(takin(sampler=DDIM(steps=1))), 1e-5)


@pytest.mark.parametrize(("value", "reason"), [
    ("ddim", "sampler is 'ddim', not MOTION_SAMPLER"),
    (5, "sampler is a int, not MOTION_SAMPLER"),
    (object(), "sampler is a object, not MOTION_SAMPLER"),
    (type("Engine", (), {"id": "x"})(), "sampler is a Engine without steps, window, sample, which"),
    (type("Half", (Halfway,), {"steps": "7"})(), "sampler has steps '7'; a whole number from 0 is needed"),
    (type("Less", (Halfway,), {"window": -4})(), "sampler has window -4; a whole number from 0 is needed"),
])  # fmt: skip
def test_a_wrong_object_on_the_socket_is_refused_by_name(value, reason):
    with pytest.raises(ValueError, match=f"^Load Motion Engine: {reason}"):
        takin(sampler=value)


def test_a_window_that_the_engine_has_not_learnt_is_refused_in_the_node_s_name():
    with pytest.raises(
        ValueError, match="^Load Motion Engine: window is 200, but Takin-ADA takes 25 to 125 frames"
    ):
        takin(sampler=sampler("ddim", window=200))


def test_more_steps_than_the_network_has_are_refused():
    with pytest.raises(ValueError, match="^Load Motion Engine: steps is 2000; between 1 and 1000"):
        takin(sampler=DDIM(steps=2000))


def test_without_diffusers_the_node_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    assert sampler("ddim") == DDIM()
    with pytest.raises(ValueError, match="^Motion Sampler: sampler is euler, which comes from diffusers"):
        sampler("euler")
