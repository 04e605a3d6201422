"""Pixels to crops: the reference's resize rule in torch alone, on any device, from uint8."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.processing_utils import ImagesKwargs

from molmo_node.errors import ConfigError
from molmo_node.models.molmo.geometry import (
    CropRule,
    Fit,
    TokenLayout,
    canvas_of,
    fit_into,
    select_tiling,
    token_layout,
)


class MolmoImagesKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """What may be set for one call or in preprocessor_config.json."""

    max_crops: int
    overlap_margins: list[int]
    base_image_input_size: list[int]
    image_patch_size: int
    image_token_length_h: int
    image_token_length_w: int
    image_padding_mask: bool
    do_normalize: bool
    image_mean: list[float]
    image_std: list[float]


class MolmoImageProcessor(BaseImageProcessor):
    """Cuts an image into a global crop and up to `max_crops` overlapping crops.

    The resize is float32 in [0, 1], bilinear with antialias: bit-identical to the reference
    on the CPU. Resizing uint8 (PIL, cv2) is off by up to 1/255 and moves points.

    Raises:
        ConfigError: sizes that are not square or do not fit each other.
    """

    model_input_names = ["images", "image_masks", "image_input_idx"]  # noqa: RUF012
    valid_kwargs = MolmoImagesKwargs

    def __init__(
        self,
        max_crops: int = 12,
        overlap_margins: tuple[int, int] | list[int] = (4, 4),
        base_image_input_size: tuple[int, int] | list[int] = (336, 336),
        image_token_length_w: int = 12,
        image_token_length_h: int = 12,
        image_patch_size: int = 14,
        image_padding_mask: bool = True,
        do_normalize: bool = True,
        image_mean: tuple[float, ...] | list[float] = (0.48145466, 0.4578275, 0.40821073),
        image_std: tuple[float, ...] | list[float] = (0.26862954, 0.26130258, 0.27577711),
        **kwargs: Any,
    ) -> None:
        for unused in ("image_processor_type", "auto_map"):
            kwargs.pop(unused, None)
        super().__init__(**kwargs)
        self.max_crops = max_crops
        self.overlap_margins = list(overlap_margins)
        self.base_image_input_size = list(base_image_input_size)
        self.image_token_length_w = image_token_length_w
        self.image_token_length_h = image_token_length_h
        self.image_patch_size = image_patch_size
        self.image_padding_mask = image_padding_mask
        self.do_normalize = do_normalize
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        height, width = self.base_image_input_size
        if height != width or image_token_length_h != image_token_length_w:
            raise ConfigError(f"crops of {height}×{width} pixels; only square crops exist")
        if (height // image_patch_size) % image_token_length_h:
            raise ConfigError(
                f"{height // image_patch_size} patches cannot be pooled to {image_token_length_h}"
            )

    @property
    def rule(self) -> CropRule:
        """The sizes of this processor as one value."""
        return CropRule(
            grid=self.base_image_input_size[0] // self.image_patch_size,
            patch_px=self.image_patch_size,
            margin_left=self.overlap_margins[0],
            margin_right=self.overlap_margins[1],
            pooled=self.image_token_length_h,
        )

    def layout(self, height: int, width: int, max_crops: int | None = None) -> TokenLayout:
        """The image tokens of an image of this size, without looking at a pixel."""
        tiling = select_tiling(height, width, max_crops or self.max_crops, self.rule)
        return token_layout(*tiling, self.rule)

    def preprocess(
        self,
        images: Any,
        *,
        max_crops: int | None = None,
        device: torch.device | str | None = None,
        return_tensors: str | None = "pt",
        **_unused: Any,
    ) -> BatchFeature:
        """Cut images.

        Args:
            images: one image or a flat list: ``(H, W, 3) uint8`` arrays or tensors, or PIL.
            max_crops: crops besides the global one, instead of the processor's own number.
            device: where the pixels are resized; the images' device if None.

        Returns:
            Lists, one entry an image: `images` [crops, patches, 3·patch²] float32,
            `image_masks` [crops, patches] float32, `image_input_idx` [crops, pooled²] int64,
            relative to the first image token, and `token_kinds` [tokens] int64.
        """
        images = images if isinstance(images, list | tuple) else [images]
        cut = [self.cut(as_pixels(image), max_crops, device) for image in images]
        return BatchFeature(
            {
                "images": [crops for crops, _, _ in cut],
                "image_masks": [mask for _, mask, _ in cut],
                "image_input_idx": [torch.from_numpy(lay.index) for _, _, lay in cut],
                "token_kinds": [torch.from_numpy(lay.kinds) for _, _, lay in cut],
            }
        )

    def cut(
        self,
        pixels_hwc: Tensor,
        max_crops: int | None = None,
        device: torch.device | str | None = None,
    ) -> tuple[Tensor, Tensor, TokenLayout]:
        """Crops, masks and token layout of one image of ``(H, W, 3) uint8``.

        The mask of a crop is the share of real pixels of each patch. It is kept one place
        late, with a row of -1 at the end: the global crop gets the mask of crop 0, and so on.
        The published models were trained with this slip and need it (molmo.md §5.6).
        """
        rule = self.rule
        height, width = int(pixels_hwc.shape[0]), int(pixels_hwc.shape[1])
        rows, columns = select_tiling(height, width, max_crops or self.max_crops, rule)
        chw = pixels_hwc.to(device or pixels_hwc.device).permute(2, 0, 1)[None].float() / 255.0
        fit = fit_into(height, width, *canvas_of(rows, columns, rule))
        canvas = self._lay(chw, fit)
        whole = self._lay(chw, fit_into(height, width, rule.crop_px, rule.crop_px))
        crops = torch.cat([self._windows(whole), self._windows(canvas)])
        mask = self._windows(_content_mask(fit, chw.device)).mean(-1)
        mask = torch.cat([mask, torch.full_like(mask[:1], -1.0)])
        return crops, mask, token_layout(rows, columns, rule)

    def _lay(self, chw: Tensor, fit: Fit) -> Tensor:
        """Resize, centre on black, then normalise: so padding is normalised black."""
        small = functional.interpolate(
            chw, (fit.height, fit.width), mode="bilinear", align_corners=False, antialias=True
        ).clamp(0.0, 1.0)
        right = fit.canvas_width - fit.width - fit.left
        bottom = fit.canvas_height - fit.height - fit.top
        canvas = functional.pad(small, (fit.left, right, fit.top, bottom))[0]
        if not self.do_normalize:
            return canvas
        mean = torch.tensor(self.image_mean, dtype=torch.float32, device=chw.device)
        std = torch.tensor(self.image_std, dtype=torch.float32, device=chw.device)
        return (canvas - mean[:, None, None]) / std[:, None, None]

    def _windows(self, canvas: Tensor) -> Tensor:
        """[C, H, W] → overlapping crops as patches: [crops, grid², patch²·C], all row-major."""
        rule = self.rule
        crop, step, patch = rule.crop_px, rule.window_px, rule.patch_px
        windows = canvas.unfold(1, crop, step).unfold(2, crop, step)
        channels, rows, columns = windows.shape[:3]
        grid = windows.reshape(channels, rows * columns, rule.grid, patch, rule.grid, patch)
        return grid.permute(1, 2, 4, 3, 5, 0).reshape(rows * columns, rule.grid**2, -1)


def _content_mask(fit: Fit, device: torch.device) -> Tensor:
    """[1, H, W]: 1 where the canvas shows the image, 0 where it is padding."""
    mask = torch.zeros(1, fit.canvas_height, fit.canvas_width, device=device)
    mask[:, fit.top : fit.top + fit.height, fit.left : fit.left + fit.width] = 1.0
    return mask


def as_pixels(image: Any) -> Tensor:
    """Any picture that a caller may hold, as ``(H, W, 3) uint8``.

    PIL pictures are turned upright by their EXIF tag and converted to RGB; transparent ones
    are put on white. Arrays must already be rgb8 (or grey).

    Raises:
        ConfigError: not a picture.
    """
    if isinstance(image, Image.Image):
        image = np.array(_upright_rgb(image))
    if isinstance(image, np.ndarray):
        image = torch.from_numpy(np.ascontiguousarray(image))
    if not isinstance(image, Tensor):
        raise ConfigError(f"an image is an array, a tensor or a PIL image, not {type(image)}")
    if image.ndim == 2:
        image = image[..., None].expand(-1, -1, 3)
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ConfigError(
            f"an image is (H, W, 3) uint8, not {tuple(image.shape)} {image.dtype}",
            hint="convert it to RGB first",
        )
    return image


def _upright_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")
