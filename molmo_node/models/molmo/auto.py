"""Tell the library's Auto classes about Molmo, so that `Auto….from_pretrained(folder)` works
without any code from the folder."""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
)
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Concatenate, MergeModulelist, WeightConverter

from molmo_node.models.molmo.configuration import MolmoConfig
from molmo_node.models.molmo.image_processing import MolmoImageProcessor
from molmo_node.models.molmo.modeling import MolmoForConditionalGeneration
from molmo_node.models.molmo.processing import MolmoProcessor


def register() -> None:
    """Register the classes, and how MolmoE's single experts become stacked tensors."""
    AutoConfig.register("molmo", MolmoConfig, exist_ok=True)
    # The library picks by its installed backends; ours needs neither, so it is under both names.
    pixels = {"torchvision": MolmoImageProcessor, "pil": MolmoImageProcessor}
    AutoImageProcessor.register(MolmoConfig, image_processor_classes=pixels, exist_ok=True)
    AutoProcessor.register(MolmoConfig, MolmoProcessor, exist_ok=True)
    AutoModelForImageTextToText.register(MolmoConfig, MolmoForConditionalGeneration, exist_ok=True)
    AutoModelForCausalLM.register(MolmoConfig, MolmoForConditionalGeneration, exist_ok=True)
    register_checkpoint_conversion_mapping(
        "molmo",
        [
            WeightConverter(
                source_patterns=[
                    "mlp.experts.*.gate_proj.weight",
                    "mlp.experts.*.up_proj.weight",
                ],
                target_patterns="mlp.experts.gate_up_proj",
                operations=[MergeModulelist(dim=0), Concatenate(dim=1)],
            ),
            WeightConverter(
                source_patterns="mlp.experts.*.down_proj.weight",
                target_patterns="mlp.experts.down_proj",
                operations=[MergeModulelist(dim=0)],
            ),
        ],
        overwrite=True,
    )
