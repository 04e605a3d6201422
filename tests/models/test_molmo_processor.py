"""Pictures and prompts as callers hold them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from molmo_node.errors import ConfigError
from molmo_node.models.molmo import MolmoImageProcessor, MolmoProcessor
from molmo_node.models.molmo.image_processing import as_pixels
from molmo_node.models.molmo.processing import conversation
from tests.models.picture import golden_picture
from tests.models.scripting import noise

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def processor(tiny) -> MolmoProcessor:
    return MolmoProcessor.from_pretrained(tiny("7b-d"))


def test_features_have_the_documented_shapes(processor: MolmoProcessor) -> None:
    features = processor(images=[noise(640, 480)], text="x", return_tensors="pt")
    length = features["input_ids"].shape[1]
    assert features["images"].shape == (1, 7, 576, 588)
    assert features["image_masks"].shape == (1, 7, 576)
    assert features["image_input_idx"].shape == (1, 7, 144)
    assert features["attention_mask"].tolist() == [[1] * length]
    index = features["image_input_idx"][features["image_input_idx"] >= 0]
    ids = features["input_ids"][0]
    assert (
        sorted(index.tolist()) == torch.nonzero(ids == processor.image_token_ids[2])[:, 0].tolist()
    )


def test_one_setting_rules_the_number_of_crops(processor: MolmoProcessor) -> None:
    picture = noise(1280, 720)
    by_argument = processor(images=picture, text="x", max_crops=4)["images"]
    by_dict = processor(images=[picture], text="x", images_kwargs={"max_crops": 4})["images"]
    own = MolmoProcessor(MolmoImageProcessor(max_crops=4), processor.tokenizer)
    by_attribute = own(images=[[picture]], text=["x"])["images"]
    assert by_argument.shape == by_dict.shape == by_attribute.shape == (1, 5, 576, 588)
    assert torch.equal(by_argument, by_dict)
    assert torch.equal(by_argument, by_attribute)


def test_a_batch_is_padded_on_the_left_and_its_crops_at_the_end(processor) -> None:
    small, large = noise(100, 100), noise(640, 480)
    alone = processor(images=[small], text="a")
    both = processor(images=[small, large], text=["a", "a longer question"])
    pad = both["input_ids"].shape[1] - alone["input_ids"].shape[1]
    assert both["attention_mask"][0].tolist() == [0] * pad + [1] * alone["input_ids"].shape[1]
    assert both["input_ids"][0, pad:].tolist() == alone["input_ids"][0].tolist()
    assert torch.equal(both["images"][0, :2], alone["images"][0])
    assert (both["images"][0, 2:] == -1).all()
    index = alone["image_input_idx"][0]
    assert torch.equal(both["image_input_idx"][0, :2], torch.where(index >= 0, index + pad, index))


def test_a_text_goes_with_or_without_a_picture_in_a_batch(processor) -> None:
    both = processor(images=[None, noise(64, 64)], text=["a", "b"])
    assert (both["image_input_idx"][0] < 0).all()
    assert "images" not in processor(text="a")


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ([noise(8, 8), noise(8, 8)], "one prompt"),
        ([[noise(8, 8), noise(8, 8)]], "one prompt"),
        ([noise(8, 8)], ["two", "prompts"]),
        (None, None),
        (["a string"], "x"),
        (np.zeros((8, 8, 4), np.uint8), "x"),
        (np.zeros((8, 8, 3), np.float32), "x"),
    ],
)
def test_what_molmo_cannot_take_is_refused(processor, images, text) -> None:
    with pytest.raises(ConfigError):
        processor(images=images, text=text)


def test_a_tokenizer_that_is_no_molmos_is_refused(processor) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    plain = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(
            models.BPE(vocab={"a": 0, "<u>": 1}, merges=[], unk_token="<u>")
        ),
        unk_token="<u>",
    )
    with pytest.raises(ConfigError, match="<im_start>"):
        MolmoProcessor(MolmoImageProcessor(), plain)


def test_the_question_stands_between_the_roles_once() -> None:
    assert conversation("Where?") == " User: Where? Assistant:"
    assert conversation(conversation("Where?")) == " User: Where? Assistant:"


def test_pil_pictures_are_turned_upright_and_put_on_white() -> None:
    turned = Image.fromarray(golden_picture(6, 4, 1))
    turned.getexif()[0x0112] = 6  # the camera was held sideways
    assert as_pixels(turned).shape == (6, 4, 3)
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    assert (as_pixels(clear) == 255).all()
    grey = as_pixels(Image.new("L", (3, 2), 7))
    assert grey.shape == (2, 3, 3)
    assert (grey == 7).all()
    assert as_pixels(np.zeros((2, 3), np.uint8)).shape == (2, 3, 3)


def test_the_callers_picture_is_left_alone(processor) -> None:
    picture = noise(64, 48)
    before = picture.copy()
    processor(images=[picture], text="x")
    assert (picture == before).all()


def test_a_saved_processor_loads_again(processor, tmp_path) -> None:
    processor.save_pretrained(tmp_path)
    again = MolmoProcessor.from_pretrained(tmp_path)
    picture = noise(300, 200)
    left, right = (p(images=[picture], text="x") for p in (processor, again))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_value_of_exactly_minus_one_does_not_blank_a_crop(family) -> None:
    """MolmoE's published code blanks the whole crop; its training code does not."""
    vision = family("e-1b").model.model.vision_backbone
    crops = torch.rand(1, 576, 588)
    with_one = crops.clone()
    with_one[0, 5, 7] = -1.0
    mask = torch.ones(1, 576)
    with torch.no_grad():
        plain, hit = vision(crops, mask), vision(with_one, mask)
        blank = vision(torch.full_like(crops, -1.0), mask)
    assert (plain - hit).abs().max() < (plain - blank).abs().max() / 4
