"""Molmo against what the reference implementation answered."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from molmo_node.models.molmo import (
    MolmoForConditionalGeneration,
    MolmoImageProcessor,
    MolmoProcessor,
)
from molmo_node.models.molmo.geometry import CropRule, canvas_of, fit_into, select_tiling
from tests.models.picture import golden_picture
from tools.record_molmo_golden import digest

pytestmark = pytest.mark.model

HERE = Path(__file__).parent / "golden"
REFERENCE = json.loads((HERE / "reference.json").read_text())
DECODERS = json.loads((HERE / "decoders.json").read_text())
FLAVOURS = ["7b-d-like", "7b-o-like", "moe-1b-like"]
LOGITS_TOLERANCE = 1e-4


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["name"])
def test_crops_masks_and_indices_are_the_references(case: dict) -> None:
    picture = golden_picture(case["width"], case["height"], case["image_seed"])
    assert hashlib.sha256(picture.tobytes()).hexdigest() == case["image_sha256"]

    cut = MolmoImageProcessor().preprocess(picture, max_crops=case["max_crops"])

    crops = cut["images"][0].numpy()
    assert len(crops) == case["n_crops"]
    samples = crops.reshape(-1)[case["sample_index"]]
    np.testing.assert_allclose(samples, case["sample_value"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(
        cut["image_masks"][0].numpy().mean(-1), case["mask_mean"], atol=1e-6, rtol=0
    )
    assert len(cut["token_kinds"][0]) == case["image_tokens"]
    index = cut["image_input_idx"][0].numpy()
    # The reference counts from BOS on.
    assert digest(np.where(index >= 0, index + 1, index), "<i8") == case["index_sha256"]


def test_tilings_canvases_and_sizes_are_the_references() -> None:
    rule = CropRule()
    processor = MolmoImageProcessor()
    for row in REFERENCE["tilings"]:
        height, width = row["height"], row["width"]
        rows, columns = select_tiling(height, width, row["max_crops"], rule)
        assert [rows, columns] == row["tiling"], row
        fit = fit_into(height, width, *canvas_of(rows, columns, rule))
        assert [fit.canvas_height, fit.canvas_width] == row["canvas"]
        assert [fit.height, fit.width] == row["resized"]
        assert [fit.top, fit.left] == row["pad_top_left"]
        layout = processor.layout(height, width, row["max_crops"])
        assert len(layout.kinds) == row["n_image_tokens"]
        assert len(layout.index) == row["n_crops_with_global"]


@pytest.mark.parametrize(
    ("width", "height", "tokens"), [(640, 480, 740), (1280, 720, 1196), (1920, 1080, 1196)]
)
def test_a_frame_costs_the_published_number_of_tokens(width: int, height: int, tokens: int) -> None:
    assert len(MolmoImageProcessor().layout(height, width).kinds) == tokens


@pytest.mark.parametrize("flavour", DECODERS)
def test_tiny_checkpoints_give_the_recorded_logits_and_tokens(tiny, flavour: str) -> None:
    folder, want = tiny(flavour), DECODERS[flavour]
    model = MolmoForConditionalGeneration.from_pretrained(folder)
    processor = MolmoProcessor.from_pretrained(folder)
    inputs = processor(images=[golden_picture(*want["picture"])], text=want["prompt"])
    assert digest(inputs["input_ids"].numpy(), "<i8") == want["input_ids"]

    with torch.no_grad():
        logits = model(**inputs).logits[0, -1]
    said = model.generate(**inputs, max_new_tokens=12, do_sample=False, eos_token_id=None)

    np.testing.assert_allclose(logits[::16].numpy(), want["logits"], atol=LOGITS_TOLERANCE, rtol=0)
    assert said[0, inputs["input_ids"].shape[1] :].tolist() == want["greedy"]


class Golden:
    """One flavour of the full set, loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.model = MolmoForConditionalGeneration.from_pretrained(folder)
        self.processor = MolmoProcessor.from_pretrained(folder)
        self.cases = {case["name"]: case for case in self.manifest["cases"]}

    def arrays(self, name: str):
        return np.load(self.folder / "cases" / f"{name}.npz")

    def picture(self, name: str) -> np.ndarray:
        case = self.cases[name]
        return golden_picture(case["width"], case["height"], case["image_seed"])

    def greedy(self, inputs) -> list[list[int]]:
        said = self.model.generate(**inputs, max_new_tokens=16, do_sample=False, eos_token_id=None)
        return said[:, inputs["input_ids"].shape[1] :].tolist()


@pytest.fixture(scope="module", params=FLAVOURS)
def full(request, golden: Path) -> Golden:
    return Golden(golden / request.param)


def close(got, want, what: str) -> None:
    np.testing.assert_allclose(got, want, atol=LOGITS_TOLERANCE, rtol=0, err_msg=what)


@pytest.mark.parametrize(
    "name",
    ["sq336", "vga640x480", "hd1280x720", "portrait1080x1920", "wide700x50", "tall50x700",
     "tiny10x10", "hd1280x720_mc4", "edge448x112"],
)  # fmt: skip
def test_every_golden_case_is_equal(full: Golden, name: str) -> None:
    case, want = full.cases[name], full.arrays(name)

    inputs = full.processor(
        images=[full.picture(name)], text=case["prompt"], max_crops=case["max_crops"]
    )

    assert inputs["input_ids"][0].tolist() == want["input_ids"].tolist()
    assert inputs["image_input_idx"][0].tolist() == want["image_input_idx"].tolist()
    np.testing.assert_allclose(inputs["image_masks"][0], want["image_masks"], atol=1e-6, rtol=0)
    crops = inputs["images"][0].numpy()
    assert list(crops.shape) == want["images_shape"].tolist()
    samples = crops.reshape(-1)[want["images_sample_flat_index"]]
    np.testing.assert_allclose(samples, want["images_sample_value"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(crops.mean(-1), want["images_patch_mean"], atol=1e-5, rtol=0)
    if "logits" not in want:
        return  # kept as preprocessing only: too many tokens for a stable routing
    with torch.no_grad():
        output = full.model(**inputs, output_hidden_states=True)
        features = full.model.image_features(inputs["images"], inputs["image_masks"])[0]
    close(features, want["image_features"], "image features")
    places = want["positions"]
    for layer, hidden in enumerate(output.hidden_states):
        close(hidden[0, places], want["hidden_states"][layer], f"hidden states {layer}")
    close(output.logits[0, places], want["logits"], "logits")
    close(output.logits[0, -1], want["last_logits"], "last logits")
    assert full.greedy(inputs) == [case["greedy_ids"]]


def test_text_without_a_picture_is_equal(full: Golden) -> None:
    case, want = full.manifest["text_only"], full.arrays("text_only")
    inputs = full.processor(text=case["prompt"])

    with torch.no_grad():
        logits = full.model(**inputs).logits[0]

    close(logits, want["logits"], "logits")
    assert full.greedy(inputs) == [case["greedy_ids"]]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_is_equal_to_its_rows(full: Golden, side: str) -> None:
    case, want = full.manifest["batch"], full.arrays("batch")
    names = case["cases"]
    prompts = [full.cases[name]["prompt"] for name in names]
    if side == "left":
        inputs = full.processor(images=[full.picture(n) for n in names], text=prompts)
        last = torch.tensor([-1, -1])
        assert full.greedy(inputs) == case["greedy_ids"]
    else:
        # The reference's own way: ids of -1 on the right.
        inputs = {
            "input_ids": torch.from_numpy(want["input_ids"]),
            "image_input_idx": torch.from_numpy(want["image_input_idx"]),
            "image_masks": torch.from_numpy(want["image_masks"]),
            "images": full.processor(images=[full.picture(n) for n in names], text=prompts)[
                "images"
            ],
        }
        last = (inputs["input_ids"] >= 0).sum(1) - 1

    with torch.no_grad():
        logits = full.model(**inputs).logits

    close(logits[torch.arange(2), last], want["last_valid_logits"], "last logits")


@pytest.mark.parametrize("name", ["7b-d", "7b-o", "moe-1b"])
def test_prompts_have_the_real_tokenizers_ids(golden: Path, name: str) -> None:
    from transformers import AutoTokenizer

    folder = golden / "tokenizers" / name
    want = json.loads((folder / "prompts.json").read_text())
    processor = MolmoProcessor(MolmoImageProcessor(), AutoTokenizer.from_pretrained(folder))

    assert list(processor.image_token_ids) == [
        want["special"][token] for token in ("<im_start>", "<im_end>", "<im_patch>", "<im_col>")
    ]
    assert processor.first_token_id == want["eos_token_id"]
    for row in want["prompts"]:
        ids = processor(text=row["prompt"])["input_ids"][0].tolist()
        assert ids == [want["eos_token_id"], *row["ids"]], row["prompt"]
