"""The engine: what it promises to the worker, and what it does when things break."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from molmo_node.errors import ConfigError, DeviceLost, ModelError
from molmo_node.messages import Question, Work
from molmo_node.models.engine import EncodedFrame, Engine
from molmo_node.models.family import MolmoFamily
from molmo_node.models.graphs import GraphedForward, GraphView
from molmo_node.models.loading import load_molmo
from molmo_node.models.molmo import MolmoForConditionalGeneration, MolmoProcessor
from molmo_node.models.molmo_engine import MolmoEngine
from molmo_node.models.prompts import prompt_for
from molmo_node.models.registry import load_engine
from molmo_node.models.static_kv import Arena, round_up
from tests.models.picture import golden_picture
from tests.models.scripting import noise, percent_answer, say
from tests.models.served import block_pictures, direct_points
from tools import make_pointing_molmo

pytestmark = pytest.mark.model

POINT = Question.point("red mug")
PICTURE = golden_picture(320, 240, 4)


@pytest.fixture
def engine(family) -> MolmoEngine:
    return MolmoEngine(family("7b-d"), "tiny", max_crops=2)


def test_it_keeps_the_engines_contract(engine: MolmoEngine) -> None:
    assert isinstance(engine, Engine)
    frame: EncodedFrame = engine.encode(PICTURE)
    assert (frame.width, frame.height) == (320, 240)
    replies = engine.ask(
        frame, [Question.read_gauge(), Question.read_clock(), Question.read_gauge("2")]
    )
    assert len(replies) == 3
    assert engine.ask(frame, []) == []


@pytest.mark.parametrize("flavour", ["7b-d", "7b-o", "e-1b", "molmo2"])
def test_a_spec_that_is_a_folder_loads_through_the_real_path(tiny, flavour: str) -> None:
    heard: list[float] = []
    engine = load_engine(
        str(tiny(flavour)), device="cpu", dtype="float32", max_crops=1, progress=heard.append
    )
    try:
        reply = engine.ask(engine.encode(PICTURE), [Question.read_gauge()])[0]
        assert reply.work.decode_forwards > 0
        assert reply.work.vision_forwards == 1
        assert heard[0] == 0.0
        assert heard == sorted(heard)
        assert heard[-1] == 100.0
        assert engine.execution == "eager (no CUDA graphs on cpu)"
    finally:
        engine.close()


@pytest.mark.parametrize("flavour", ["7b-d", "e-1b"])
def test_a_model_that_accelerate_spreads_answers_the_same(tiny, family, tmp_path, flavour) -> None:
    parts = ["model.vision_backbone", "model.transformer.wte", "model.transformer.ln_f"]
    parts += ["model.transformer.blocks.0", "model.transformer.blocks.2"]
    parts += ["lm_head" if flavour == "e-1b" else "model.transformer.ff_out"]
    spread = dict.fromkeys(parts, "cpu") | {"model.transformer.blocks.1": "disk"}
    model = MolmoForConditionalGeneration.from_pretrained(
        tiny(flavour), device_map=spread, offload_folder=tmp_path
    )
    fam = MolmoFamily(model, MolmoProcessor.from_pretrained(tiny(flavour)))
    assert not fam.language.is_graphable

    said = []
    for whole in (family(flavour), fam):
        engine = MolmoEngine(whole, "tiny", max_crops=1)
        said.append(engine.ask(engine.encode(PICTURE), [Question.read_gauge("7")])[0].text)
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"device": "toaster"}, "no device"), ({"dtype": "int3"}, "no dtype")],
)
def test_settings_that_do_not_exist_are_refused(tiny, options, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load_engine(str(tiny("7b-d")), **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_cuda_device_that_is_not_there_is_refused(tiny) -> None:
    with pytest.raises(ConfigError, match="no CUDA device"):
        load_engine(str(tiny("7b-d")), device="cuda:0")


@pytest.mark.parametrize("spec", ["", "nothing", "a/b/c", "scripted"])
def test_a_spec_that_names_nothing_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match="no engine"):
        load_engine(spec)


def test_a_cut_molmo2_is_refused_before_it_is_loaded(tiny, tmp_path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(tiny("molmo2"), folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="was cut"):
        load_engine(str(folder), device="cpu")


def test_bfloat16_loads_and_answers(tiny) -> None:
    engine = load_molmo(str(tiny("7b-d")), device="cpu", dtype="bf16", max_crops=1, is_warm=False)
    assert engine.family.model.dtype == torch.bfloat16
    assert engine.ask(engine.encode(PICTURE), [Question.read_gauge()])[0].work.decode_forwards


def test_the_engine_says_what_the_class_says(family) -> None:
    fam = family("7b-o")
    engine = MolmoEngine(fam, "tiny", max_crops=2)
    frame = engine.encode(PICTURE)
    head = fam.model.get_output_embeddings().weight.shape[0]
    beyond = list(range(fam.language.vocabulary, head))
    said = []
    for gauge in ("", "left", "7", "of the boiler"):
        question = Question.read_gauge(gauge)
        prompt = prompt_for(question, fam.point_format)
        inputs = fam.processor(images=[PICTURE], text=prompt, max_crops=2)
        ids = fam.model.generate(
            **inputs, max_new_tokens=48, do_sample=False, suppress_tokens=beyond or None
        )
        want = fam.answer_text(ids[0, inputs["input_ids"].shape[1] :].tolist()).strip()

        assert engine.ask(frame, [question])[0].text == want
        said.append(want)
    assert any(said)


def test_points_are_pixels_of_the_encoded_picture(engine: MolmoEngine) -> None:
    say(engine, percent_answer([(25.0, 75.0), (100.0, 0.0)], "red mug"))
    reply = engine.ask(engine.encode(PICTURE), [POINT])[0]
    assert [(p.x_px, p.y_px, p.label) for p in reply.points] == [
        (80.0, 180.0, "red mug"),
        (320.0, 0.0, "red mug"),
    ]


@pytest.mark.parametrize("flavour", ["7b-d", "7b-o", "e-1b"])
def test_a_permutation_of_the_crops_moves_the_points(family, flavour: str) -> None:
    """A served Molmo once lost its patch order: captions stayed fluent, every point was wrong."""
    fam = family(flavour)
    digits = [fam.answer_ids(str(digit))[0] for digit in range(10)]
    question = fam.question_ids("Point to the red disc.") + fam.answer_ids(' <point x="')
    picture = torch.from_numpy(golden_picture(640, 480, 2))
    crops, mask, layout = fam.cut(picture, 6)

    def first_digits(order: list[int]) -> torch.Tensor:
        look = fam.look((crops[order], mask, layout))
        arena = Arena(look.prefix, 1, round_up(look.prefix.length + 64))
        arena.load(look.prefix, 1)
        arena.place([0], len(question))
        with torch.inference_mode():
            hidden = fam.language.hidden(torch.tensor([question]), arena)
            return fam.language.logits(hidden[0, -1:])[0, digits].softmax(-1)

    straight = first_digits(list(range(7)))
    again = first_digits(list(range(7)))
    permuted = first_digits([0, 2, 1, 3, 4, 5, 6])
    reversed_ = first_digits([0, 6, 5, 4, 3, 2, 1])

    torch.testing.assert_close(straight, again)
    for other in (permuted, reversed_):
        # What the model would say the first coordinate's first digit is, in tens of percent.
        tens = torch.arange(10.0)
        moved = abs(float((other * tens).sum() - (straight * tens).sum()))
        assert moved > 1e-3, "the crops' order does not matter: patch order is lost"


def test_the_frames_work_is_counted_once(engine: MolmoEngine) -> None:
    say(engine, percent_answer([(25.0, 75.0)], "red mug"))
    frame = engine.encode(noise(64, 48, seed=40))
    replies = engine.ask(frame, [POINT, Question.point("cup")])
    later = engine.ask(frame, [Question.point("bolt")])[0]
    assert [r.work.vision_forwards for r in [*replies, later]] == [1, 0, 0]
    assert [r.timing_ms.prepare > 0 for r in [*replies, later]] == [True, False, False]
    assert all(r.timing_ms.decode > 0 and r.timing_ms.total > 0 for r in [*replies, later])
    assert all((r.work.min_top2_margin or 0) > 0 for r in replies)


def test_a_draft_changes_the_work_and_not_the_answer(engine: MolmoEngine) -> None:
    question = Question.read_gauge("left")
    frame = engine.encode(noise(96, 96, seed=41))
    first = engine.ask(frame, [question])[0]
    frame.replies.clear()
    for draft in (first.text, "4.2 bar", "\x00\n🙂", "<point"):
        again = engine.ask(frame, [question], [draft])[0]
        frame.replies.clear()
        assert again.text == first.text
        assert again.work.decode_forwards <= first.work.decode_forwards


def test_a_question_too_long_is_answered_with_the_reason(engine: MolmoEngine) -> None:
    frame = engine.encode(PICTURE)
    long = Question.ask("why " * 4000)
    replies = engine.ask(frame, [long, Question.read_gauge()])
    assert "too long" in (replies[0].no_answer or "")
    assert replies[0].text == ""
    assert replies[1].work.decode_forwards > 0


def test_a_point_that_was_cut_off_is_no_point(engine: MolmoEngine) -> None:
    points = [(10.0 + n / 10, 20.0) for n in range(60)]
    say(engine, percent_answer(points, "bolts"))
    reply = engine.ask(engine.encode(PICTURE), [Question.point("bolts")])[0]
    assert reply.points == ()
    assert "cut off" in (reply.no_answer or "")


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)],
)
def test_what_is_no_picture_is_refused(engine: MolmoEngine, picture) -> None:
    with pytest.raises(ModelError, match="uint8"):
        engine.encode(picture)


def test_a_picture_too_thin_to_look_at_is_a_clear_error(engine: MolmoEngine) -> None:
    with pytest.raises(ModelError, match="too long and thin"):
        engine.encode(noise(4000, 1, seed=1))


def fail_first(times: int, error: Exception, real):
    """A stand-in that raises for the first calls."""
    left = [times]

    def call(*args, **kwargs):
        if left[0]:
            left[0] -= 1
            raise error
        return real(*args, **kwargs)

    return call


def test_out_of_memory_while_looking_is_tried_once_with_fewer_crops(family, monkeypatch) -> None:
    engine = MolmoEngine(family("7b-d"), "tiny", max_crops=6)
    picture = noise(640, 480, seed=42)
    error = torch.OutOfMemoryError("CUDA out of memory")
    monkeypatch.setattr(engine.family, "look", fail_first(1, error, engine.family.look))
    say(engine, " There are none.")

    reply = engine.ask(engine.encode(picture), [POINT])[0]

    assert reply.work.crops == 3  # 2 crops and the global one instead of 6 and one
    assert reply.work.vision_forwards == 1


def test_out_of_memory_twice_fails_the_query_and_the_engine_lives(engine, monkeypatch) -> None:
    error = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    real = engine.family.look
    monkeypatch.setattr(engine.family, "look", fail_first(2, error, real))
    with pytest.raises(ModelError, match="out of memory"):
        engine.encode(noise(64, 64, seed=43))
    assert engine.encode(noise(64, 64, seed=43)).look.crops > 0


def test_out_of_memory_in_a_batch_is_tried_one_by_one(engine, monkeypatch) -> None:
    say(engine, percent_answer([(25.0, 75.0)], "red mug"))
    frame = engine.encode(noise(64, 64, seed=44))
    sizes = []
    real = engine._decode

    def decode(frame, rows, *args):
        sizes.append(len(rows))
        if len(rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(frame, rows, *args)

    monkeypatch.setattr(engine, "_decode", decode)
    replies = engine.ask(frame, [POINT, Question.point("cup"), Question.point("bolt")])

    assert sizes == [3, 1, 1, 1]
    assert [reply.points[0].x_px for reply in replies] == [16.0] * 3


@pytest.mark.parametrize(
    "message",
    ["CUDA error: device-side assert triggered", "CUDA error: an illegal memory access"],
)
def test_a_lost_device_says_so(engine, monkeypatch, message: str) -> None:
    error = RuntimeError(message)
    monkeypatch.setattr(engine.family, "look", fail_first(1, error, engine.family.look))
    with pytest.raises(DeviceLost):
        engine.encode(noise(64, 64, seed=45))


def test_numbers_that_are_not_finite_are_an_error_and_leave_nothing_behind(engine) -> None:
    frame = engine.encode(noise(64, 64, seed=47))
    first = engine.ask(frame, [Question.read_gauge()])[0]
    frame.replies.clear()
    weight = engine.family.model.model.transformer.blocks[0].attn_norm.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.fill_(float("nan"))
    try:
        with pytest.raises(ModelError, match="not finite"):
            engine.ask(frame, [Question.read_gauge(), Question.read_gauge("2")])
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    replies = engine.ask(frame, [Question.read_gauge(), Question.read_gauge("2")])
    assert replies[0].text == first.text


def test_another_fault_is_not_hidden(engine, monkeypatch) -> None:
    error = RuntimeError("shapes do not match")
    monkeypatch.setattr(engine.family, "look", fail_first(1, error, engine.family.look))
    with pytest.raises(RuntimeError, match="shapes"):
        engine.encode(noise(64, 64, seed=46))


@pytest.mark.parametrize("flavour", ["7b-d", "7b-o", "molmo2"])
def test_a_graphs_view_of_the_arena_computes_what_the_eager_forward_does(family, flavour) -> None:
    """The same code that is captured on a GPU, run here without capturing."""
    fam = family(flavour)
    look = fam.look(fam.cut(torch.from_numpy(noise(64, 64)), 1))
    question = fam.question_ids("Point to the red mug.")
    tokens = torch.tensor([[5, 6, 7], [8, 9, 10]])
    starts = [len(question), len(question) - 3]
    seen = []
    for is_graph in (False, True):
        arena = Arena(look.prefix, 2, round_up(look.prefix.length + 128))
        arena.load(look.prefix, 2)
        arena.place([0, 0], len(question))
        with torch.inference_mode():
            fam.language.hidden(torch.tensor([question, question]), arena)
            arena.place(starts, 3)
            if is_graph:
                view = GraphView(arena, 2, 4)  # one token of padding
                view.follow()
                padded = torch.nn.functional.pad(tokens, (0, 1))
                seen.append(fam.language.hidden(padded, view)[:, :3])
            else:
                seen.append(fam.language.hidden(tokens, arena))
    torch.testing.assert_close(seen[0], seen[1], atol=1e-5, rtol=1e-5)


def test_without_graphs_the_engine_says_why(family) -> None:
    cpu = torch.device("cpu")
    dense, moe = family("7b-d").language, family("e-1b").language
    assert GraphedForward(dense, cpu).state == "eager (no CUDA graphs on cpu)"
    assert GraphedForward(dense, cpu, is_wanted=False).state == "eager (switched off)"
    cuda = torch.device("cuda")
    assert GraphedForward(moe, cuda).state == "eager (this model's forward cannot be captured)"
    assert GraphedForward(dense, cuda).is_graphed


def test_a_capture_that_fails_falls_back_and_says_so(family, monkeypatch) -> None:
    fam = family("7b-d")
    look = fam.look(fam.cut(torch.from_numpy(noise(64, 64)), 1))
    arena = Arena(look.prefix, 1, round_up(look.prefix.length + 64))
    arena.load(look.prefix, 1)
    forward = GraphedForward(fam.language, torch.device("cuda"))
    monkeypatch.setattr(forward, "_capture", fail_first(1, RuntimeError("no capture"), None))
    arena.place([0], 2)
    with torch.inference_mode():
        got = forward(torch.tensor([[3, 4]]), arena)
        want = fam.language.hidden(torch.tensor([[3, 4]]), arena)
    assert forward.state == "eager (capture failed)"
    torch.testing.assert_close(got, want)


def test_work_of_a_known_answer_is_nothing(engine: MolmoEngine) -> None:
    frame = engine.encode(PICTURE)
    engine.ask(frame, [Question.read_gauge()])
    assert engine.ask(frame, [Question.read_gauge()])[0].work == Work()


@pytest.mark.parametrize("max_crops", [1, 4])
def test_the_served_engine_points_where_the_class_called_directly_points(
    tmp_path_factory, max_crops: int
) -> None:
    folder = make_pointing_molmo.make(tmp_path_factory.mktemp("pointing") / "7b-d")
    engine = load_engine(str(folder), device="cpu", max_crops=max_crops, is_warm=False)
    pictures = block_pictures(8)
    seen = set()
    for picture in pictures:
        want = direct_points(folder, picture, "disc", max_crops=max_crops)
        reply = engine.ask(engine.encode(picture), [Question.point("disc")])[0]
        assert [(p.x_px, p.y_px) for p in reply.points] == [(p.x_px, p.y_px) for p in want]
        assert reply.work.decode_forwards <= 5
        seen.add((want[0].x_px, want[0].y_px))
    assert len(seen) >= 3, "the pictures must make a difference"
