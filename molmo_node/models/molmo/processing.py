"""Picture and prompt to model inputs, in the reference's order: BOS, image, text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, BatchFeature
from transformers.processing_utils import ProcessorMixin

from molmo_node.errors import ConfigError, ModelError
from molmo_node.models.hub import DOWNLOAD_OPTIONS, TEXT_FILES, snapshot
from molmo_node.models.molmo.geometry import DROPPED
from molmo_node.models.molmo.image_processing import MolmoImageProcessor

# In the order of geometry.START, END, PATCH, COLUMN.
_IMAGE_TOKENS = ("<im_start>", "<im_end>", "<im_patch>", "<im_col>")
_PADDING = -1


def conversation(question: str) -> str:
    """The text the models were trained on: a space, the role, the question, the other role."""
    if question.startswith(" User:") and question.endswith("Assistant:"):
        return question
    return f" User: {question} Assistant:"


class MolmoProcessor(ProcessorMixin):
    """One image (or none) and one text a prompt; prompts are padded on the left.

    Args:
        image_processor, tokenizer: as `from_pretrained(folder)` finds them in a folder.

    The tokenizer's ChatML template, where a repository carries one, is not used: Molmo v1
    was not trained with it.
    """

    def __init__(
        self,
        image_processor: MolmoImageProcessor | None = None,
        tokenizer: Any = None,
        **_unused: Any,
    ) -> None:
        super().__init__(image_processor, tokenizer)
        self.image_token_ids = tuple(_token_id(tokenizer, name) for name in _IMAGE_TOKENS)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> MolmoProcessor:
        """The processor of an official repository or folder.

        Args: `revision`, `cache_dir`, `local_files_only`, `token`, `subfolder` as in the library.

        Raises:
            ModelError: no such folder or repository, or its tokenizer cannot be read.
            ConfigError: its files are not those of a Molmo.
        """
        subfolder = kwargs.pop("subfolder", "")
        download = {key: kwargs[key] for key in DOWNLOAD_OPTIONS if key in kwargs}
        folder = snapshot(pretrained_model_name_or_path, TEXT_FILES, **download) / subfolder
        try:
            pixels = MolmoImageProcessor.from_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError) as exc:
            first_line = (str(exc).splitlines() or [""])[0]
            raise ModelError(
                f"{folder}: no readable preprocessor and tokenizer: {first_line}"
            ) from exc
        return cls(pixels, tokenizer)

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "images", "image_masks", "image_input_idx"]

    @property
    def first_token_id(self) -> int:
        """What stands before everything: the tokenizer's BOS, else its EOS."""
        bos = self.tokenizer.bos_token_id
        return int(self.tokenizer.eos_token_id if bos is None else bos)

    def text_ids(self, text: str) -> list[int]:
        """Token ids of a text, as one string, nothing added before or after it."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def image_ids(self, token_kinds: Tensor) -> list[int]:
        """Token ids of an image's layout (`MolmoImageProcessor.layout`)."""
        table = torch.tensor(self.image_token_ids, device=token_kinds.device)
        return list(table[token_kinds].tolist())

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        *,
        max_crops: int | None = None,
        device: torch.device | str | None = None,
        images_kwargs: dict[str, Any] | None = None,
        **_unused: Any,
    ) -> BatchFeature:
        """Model inputs of one or several prompts.

        Args:
            images: None, an image, or a list with exactly one image (or None) a prompt.
            text: the question, or one a prompt; it is put between the roles.
            max_crops: crops besides the global one; also accepted within `images_kwargs`.

        Returns:
            `input_ids`, `attention_mask` [B, S] int64 and, with images, `images`
            [B, crops, patches, 3·patch²], `image_masks` [B, crops, patches] and
            `image_input_idx` [B, crops, pooled²]. Prompts are padded on the left; crops are
            padded with -1 at the end.

        Raises:
            ConfigError: no text, or not one image a prompt: Molmo v1 knows a single image.
        """
        if text is None:
            raise ConfigError("MolmoProcessor needs a text for its prompt")
        texts = [text] if isinstance(text, str) else list(text)
        pictures = _one_each(images, len(texts))
        settings = {"max_crops": max_crops, "device": device, **(images_kwargs or {})}
        prompts = [
            self._prompt(picture, words, settings)
            for picture, words in zip(pictures, texts, strict=True)
        ]
        return BatchFeature(_batch(prompts))

    def _prompt(self, picture: Any, words: str, settings: dict[str, Any]) -> dict[str, Tensor]:
        text_ids = self.text_ids(conversation(words))
        if picture is None:
            return {"ids": torch.tensor([self.first_token_id, *text_ids])}
        cut = self.image_processor.preprocess([picture], **settings)
        image_ids = self.image_ids(cut["token_kinds"][0])
        index = cut["image_input_idx"][0]
        return {
            "ids": torch.tensor([self.first_token_id, *image_ids, *text_ids]),
            "images": cut["images"][0],
            "image_masks": cut["image_masks"][0],
            "image_input_idx": torch.where(index >= 0, index + 1, DROPPED),
        }

    def decode(self, *args: Any, **kwargs: Any) -> str:
        """The tokenizer's decode."""
        return str(self.tokenizer.decode(*args, **kwargs))

    def batch_decode(self, *args: Any, **kwargs: Any) -> list[str]:
        """The tokenizer's batch_decode."""
        return list(self.tokenizer.batch_decode(*args, **kwargs))


def _token_id(tokenizer: Any, name: str) -> int:
    known = tokenizer.convert_tokens_to_ids(name) if tokenizer is not None else None
    if known is None or known == getattr(tokenizer, "unk_token_id", None):
        raise ConfigError(
            f"the tokenizer has no {name} token",
            hint="the folder's tokenizer files are not those of a Molmo",
        )
    return int(known)


def _one_each(images: Any, prompts: int) -> list[Any]:
    """The images as one entry a prompt."""
    if images is None:
        return [None] * prompts
    pictures = list(images) if isinstance(images, list | tuple) else [images]
    pictures = [p[0] if isinstance(p, list | tuple) and len(p) == 1 else p for p in pictures]
    if len(pictures) != prompts or any(isinstance(p, list | tuple) for p in pictures):
        raise ConfigError(
            f"{len(pictures)} images for {prompts} prompts; Molmo v1 takes one image a prompt",
            hint="ask about the images one after the other",
        )
    return pictures


def _batch(prompts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Stack prompts: ids padded on the left, crops at the end."""
    longest = max(len(prompt["ids"]) for prompt in prompts)
    pads = [longest - len(prompt["ids"]) for prompt in prompts]
    ids = [functional.pad(p["ids"], (n, 0), value=0) for p, n in zip(prompts, pads, strict=True)]
    mask = [torch.tensor([0] * n + [1] * (longest - n)) for n in pads]
    batch = {"input_ids": torch.stack(ids), "attention_mask": torch.stack(mask)}
    crops = max((len(p["images"]) for p in prompts if "images" in p), default=0)
    if crops == 0:
        return batch
    shape = next(p for p in prompts if "images" in p)
    for name in ("images", "image_masks", "image_input_idx"):
        rows = []
        for prompt, pad in zip(prompts, pads, strict=True):
            value = prompt.get(name, shape[name][:0])
            if name == "image_input_idx":
                value = torch.where(value >= 0, value + pad, value)
            missing = crops - len(value)
            padding = torch.full_like(shape[name][:1], _PADDING).expand(missing, *value.shape[1:])
            rows.append(torch.cat([value, padding]))
        batch[name] = torch.stack(rows)
    return batch
