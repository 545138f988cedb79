"""Takin-ADA's network: positions, lengths, conditions, sizes; its diffusion; how emotions are asked for."""

from dataclasses import replace

import pytest
import torch
from talking_portrait.models.face_motion import expression_to_controls
from talking_portrait.models.sampling import DDIM
from talking_portrait.models.sampling.schedule import clean_of, from_noisiest, noise_of, noised
from talking_portrait.models.takin.config import EMOTIONS, FULL, TINY, read_config
from talking_portrait.models.takin.conformer import RelativeAttention, relative_positions, relative_shift
from talking_portrait.models.takin.emotion import (
    emotion_faces,
    emotion_label,
    emotion_weights,
    exemplar_means,
)
from talking_portrait.models.takin.network import Conditions, TakinNet, build_takin
from talking_portrait.models.takin.sampling import Guidance, alpha_bars, guided_clean, schedule
from talking_portrait.training.takin.objective import clean_loss, training_loss

SMALL = replace(
    TINY, encoder_layers=3, encoder_width=12, width=16, heads=2, speech_layers=1, motion_layers=2, previous=4
)


def network(config=SMALL, seed: int = 0) -> TakinNet:
    torch.manual_seed(seed)
    made = TakinNet(config).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def conditions(net: TakinNet, frames: int, batch: int = 1) -> Conditions:
    c = net.config
    stack = torch.randn(batch, c.encoder_layers, 2 * (c.previous + frames), c.encoder_width)
    return Conditions(net.encode_speech(stack), torch.randn(batch, c.previous, 71), torch.randn(batch, 7),
        torch.rand(batch, 1, 8),
                      torch.randn(batch, frames, 64), torch.randn(batch, frames, 16))  # fmt: skip


@pytest.mark.parametrize("tokens", [1, 2, 5, 8])
def test_relative_shift_gives_every_pair_its_distance(tokens):
    scores = torch.randn(2, 3, tokens, 2 * tokens - 1)
    shifted = relative_shift(scores)
    for i in range(tokens):
        for j in range(tokens):
            assert torch.equal(shifted[..., i, j], scores[..., i, tokens - 1 - (i - j)])


def test_attention_is_transformer_xl_written_out():
    torch.manual_seed(1)
    layer, x = RelativeAttention(8, 2), torch.randn(2, 5, 8)
    torch.nn.init.normal_(layer.content_bias)
    torch.nn.init.normal_(layer.position_bias)
    positions = relative_positions(5, 8)
    query, key, value = layer.query_key_value(x).chunk(3, -1)
    distance, expected = layer.position(positions), torch.zeros_like(x)
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        for b in range(2):
            scores = torch.zeros(5, 5)
            for i in range(5):
                for j in range(5):
                    q = query[b, i, part]
                    scores[i, j] = (q + layer.content_bias[head]) @ key[b, j, part]
                    scores[i, j] += (q + layer.position_bias[head]) @ distance[4 - (i - j), part]
            expected[b, :, part] = (scores / 2).softmax(-1) @ value[b, :, part]
    assert torch.allclose(layer(x, positions), layer.leave(expected), atol=1e-5)


def test_positions_tell_before_from_after():
    positions = relative_positions(4, 8)
    assert positions.shape == (7, 8)
    assert torch.allclose(positions[0, 0], torch.tensor(3.0).sin()) and torch.allclose(
        positions[6, 0], -torch.tensor(3.0).sin()
    )


@pytest.mark.parametrize("frames", [1, 2, 25, 50, 125, 126])
def test_any_length(frames):
    net = network()
    out = net(torch.randn(1, frames, 70), torch.tensor([500]), conditions(net, frames))
    assert out.shape == (1, frames, 70) and torch.isfinite(out).all()


def test_a_sample_does_not_depend_on_its_batch():
    net = network()
    given, noisy, steps = conditions(net, 9, 3), torch.randn(3, 9, 70), torch.tensor([3, 500, 900])
    whole = net(noisy, steps, given)
    alone = Conditions(**{name: value[1:2] for name, value in vars(given).items()})
    assert torch.allclose(whole[1:2], net(noisy[1:2], steps[1:2], alone), atol=1e-5)


def test_every_encoder_layer_is_weighed_and_learns():
    net = network()
    stack = torch.randn(1, 3, 20, 12)
    net.encode_speech(stack).square().sum().backward()
    assert (net.layer_logits.grad.abs() > 1e-7).all(), "the sum leaves a layer out"
    with torch.no_grad():
        net.layer_logits.copy_(torch.tensor([50.0, 0, 0]))
        other = stack.clone()
        other[:, 1:] = 7
        assert torch.allclose(net.encode_speech(stack), net.encode_speech(other), atol=1e-5), (
            "weights are no softmax"
        )


@pytest.mark.parametrize("name", ["speech", "previous", "reference", "label", "exemplar", "command"])
def test_every_condition_is_heard(name):
    net = network()
    given, noisy, step = conditions(net, 6), torch.randn(1, 6, 70), torch.tensor([400])
    changed = replace(given, **{name: getattr(given, name) + 1})
    assert (net(noisy, step, given) - net(noisy, step, changed)).abs().max() > 1e-4


def test_null_speech_and_null_emotion_hide_theirs_and_nothing_else():
    net = network()
    given, noisy, step = conditions(net, 6), torch.randn(1, 6, 70), torch.tensor([400])
    deaf, numb = torch.tensor([False]), torch.tensor([False])
    other = replace(given, speech=given.speech + 1)
    assert torch.equal(net(noisy, step, given, hear=deaf), net(noisy, step, other, hear=deaf))
    moody = replace(given, label=given.label + 1, exemplar=given.exemplar - 1)
    assert torch.equal(net(noisy, step, given, feel=numb), net(noisy, step, moody, feel=numb))
    assert not torch.allclose(
        net(noisy, step, given, feel=numb), net(noisy, step, other, feel=numb), atol=1e-4
    )


def test_the_steps_reach_every_branch():
    net = network()
    given, noisy = conditions(net, 6), torch.randn(1, 6, 70)
    assert (net(noisy, torch.tensor([10]), given) - net(noisy, torch.tensor([900]), given)).abs().max() > 1e-4
    block, x, positions = net.motion_blocks[0], torch.randn(1, 6, 16), relative_positions(6, 16)
    with torch.no_grad():
        for branch in range(4):
            block.film.weight.zero_()
            block.film.bias.zero_()
            plain = block(x, positions, torch.ones(1, 16))
            block.film.bias.unflatten(0, (4, 2, 16))[branch] = 1.0
            assert not torch.allclose(plain, block(x, positions, torch.ones(1, 16)), atol=1e-4), (
                f"branch {branch}"
            )


def test_sizes_of_the_papers_network_and_of_the_shipped_one():
    full = sum(p.numel() for p in TakinNet(FULL, device="meta").parameters())
    tiny = sum(p.numel() for p in TakinNet(TINY, device="meta").parameters())
    assert (
        len(TakinNet(FULL, device="meta").speech_blocks),
        len(TakinNet(FULL, device="meta").motion_blocks),
    ) == (4, 8)
    assert 90e6 < full < 100e6 and 2 * tiny < 6e6


def test_config_is_read_from_the_tensors_and_checked_against_the_header():
    state = network().state_dict()
    assert read_config(state, SMALL.header()) == SMALL
    assert build_takin(state, SMALL.header()).config == SMALL
    with pytest.raises(ValueError, match="width 96, but its tensors have 16"):
        read_config(state, replace(SMALL, width=96).header())
    with pytest.raises(ValueError, match="encoder_layers 8, but its tensors have 3"):
        read_config(state, TINY.header())
    with pytest.raises(ValueError, match="no Takin-ADA network"):
        read_config(state, {})
    with pytest.raises(ValueError, match="no Takin-ADA network"):
        read_config({"enter.weight": torch.zeros(1)}, SMALL.header())
    with pytest.raises(ValueError, match="prediction is 'v'"):
        replace(SMALL, prediction="v")


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_schedules_fall_from_one_to_nothing(kind):
    signal = alpha_bars(kind, 1000)
    assert (signal.diff() < 0).all() and signal[0] > 0.999 and 0 < signal[-1] < 1e-4


def test_clean_and_noise_are_two_views_of_one_prediction():
    signal = alpha_bars("cosine", 1000).float()[600]
    clean, noise = torch.randn(2, 5, 70), torch.randn(2, 5, 70)
    noisy = noised(clean, noise, signal)
    assert torch.allclose(clean_of(noise, noisy, signal), clean, atol=1e-4)
    assert torch.allclose(noise_of(clean, noisy, signal), noise, atol=1e-4)


def no_noise(done: int) -> torch.Tensor:
    raise AssertionError("deterministic sampling asks for noise")


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_an_oracle_gives_the_clean_motion_exactly(steps):
    signal, truth, seen = alpha_bars("cosine", 1000).float(), torch.randn(1, 9, 70), []

    def oracle(latent, step):
        seen.append(step)
        return truth

    found = DDIM().sample(oracle, torch.randn(1, 9, 70), schedule(signal, steps), no_noise)
    assert torch.equal(found, truth)
    assert seen[0] == 999 and seen == sorted(seen, reverse=True) and len(seen) == steps


def test_ddim_follows_its_formula():
    signal = alpha_bars("cosine", 1000).float()
    start = torch.randn(1, 3, 70)
    times = from_noisiest(2, 1000)
    clean = 0.5 * start
    noise = (start - signal[times[0]] ** 0.5 * clean) / (1 - signal[times[0]]) ** 0.5
    middle = signal[times[1]] ** 0.5 * clean + (1 - signal[times[1]]) ** 0.5 * noise
    found = DDIM().sample(lambda latent, step: 0.5 * latent, start, schedule(signal, 2), no_noise)
    assert torch.allclose(found, 0.5 * middle, atol=1e-5)


def test_steps_out_of_range_are_named():
    for steps in (0, 1001):
        with pytest.raises(ValueError, match=f"steps is {steps}"):
            from_noisiest(steps, 1000)


def test_guidance_is_the_incremental_sum():
    net, signal = network(), alpha_bars("cosine", 1000).float()
    given, latent, step = conditions(net, 6), torch.randn(1, 6, 70), 700
    flags = torch.tensor([True]), torch.tensor([False])
    none = net(latent, torch.tensor([step]), given, flags[1], flags[1])
    heard = net(latent, torch.tensor([step]), given, flags[0], flags[1])
    both = net(latent, torch.tensor([step]), given, flags[0], flags[0])
    for speech, emotion in ((1.5, 1.0), (2.0, 3.0), (1.0, 1.0), (1.0, 0.0)):
        expected = none + speech * (heard - none) + emotion * (both - heard)
        assert torch.allclose(
            guided_clean(net, latent, step, given, Guidance(speech, emotion), signal), expected, atol=1e-4
        )


def test_a_network_of_noise_gives_the_same_motion_through_its_own_view():
    net = network(replace(SMALL, prediction="eps"))
    given, latent, signal = (
        conditions(net, 6),
        torch.randn(1, 6, 70),
        alpha_bars("cosine", 1000).float(),
    )
    found = guided_clean(net, latent, 300, given, Guidance(1.0, 1.0), signal)
    noise = net(latent, torch.tensor([300]), given)
    assert torch.allclose(noised(found, noise, signal[300]), latent, atol=1e-4)


def test_losses_are_zero_for_the_truth_and_point_at_errors():
    clean, noise, previous = torch.randn(2, 6, 70), torch.randn(2, 6, 70), torch.randn(2, 4, 71)
    previous[..., 70] = 1
    assert (
        training_loss("x0", clean, clean, noise, previous) == 0
        and training_loss("eps", noise, clean, noise, previous) == 0
    )
    assert torch.allclose(training_loss("eps", noise + 2, clean, noise, previous), torch.tensor(4.0))
    lips, brow = clean.clone(), clean.clone()
    lips[..., 19 * 3], brow[..., 1 * 3] = lips[..., 19 * 3] + 1, brow[..., 1 * 3] + 1
    assert torch.allclose(clean_loss(lips, clean, previous), 2 * clean_loss(brow, clean, previous)), (
        "lips count double"
    )
    jump = clean.clone()
    jump[:, 0] += 1
    known = clean_loss(jump, clean, previous)
    previous[..., 70] = 0
    assert known > clean_loss(jump, clean, previous), "the step from a known frame is not looked at"


def test_an_exemplar_is_the_mean_around_a_frame():
    expression = torch.randn(30, 63)
    means = exemplar_means(expression, 25)
    assert means.shape == (30, 63)
    assert torch.allclose(means[15], expression[3:28].mean(0), atol=1e-5)
    assert torch.allclose(means[0], expression[:13].mean(0), atol=1e-5)
    assert torch.allclose(exemplar_means(expression, 1), expression, atol=1e-6)


def test_emotions_are_shares_times_intensity():
    label = emotion_label({"happy": 2, "sad": 1}, 0.6)
    assert torch.allclose(label.sum(), torch.tensor(0.6)) and torch.allclose(
        label[EMOTIONS.index("happy")], torch.tensor(0.4)
    )
    assert emotion_weights("Happy 2, sad") == {"happy": 2.0, "sad": 1.0} and emotion_weights("angry") == {
        "angry": 1.0
    }


@pytest.mark.parametrize(("asked", "intensity", "reason"), [
    ("furious", 1.0, "emotion has 'furious', which is unknown; there are angry"),
    ("happy 0, sad 0", 1.0, "sum to 0"),
    ("", 1.0, "sum to 0"), ("happy -1", 1.0, "negative"), ("happy x", 1.0, "a name and a number"),
    ("happy nan", 1.0, "no number"),
    ("happy", 1.5, "emotion_intensity is 1.5"), ("happy", float("nan"), "emotion_intensity is nan"),
])  # fmt: skip
def test_what_is_wrong_with_an_emotion_is_said(asked, intensity, reason):
    with pytest.raises(ValueError, match=reason):
        emotion_label(emotion_weights(asked), intensity)


def test_faces_of_emotions_differ_and_neutral_is_none():
    faces, pitch = emotion_faces()
    assert faces[EMOTIONS.index("neutral")].abs().max() == 0
    distances = torch.cdist(faces, faces) + torch.eye(len(EMOTIONS))
    assert distances.min() > 0.003, "two emotions look alike"
    smile = expression_to_controls(faces.unflatten(1, (21, 3)))[EMOTIONS.index("happy"), -1]
    assert torch.allclose(smile, torch.tensor(1.0), atol=1e-4) and pitch[EMOTIONS.index("sad")] == 4
