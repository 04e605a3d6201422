"""Molmo v1, native to transformers: one implementation for 7B-D, 7B-O, E-1B and 72B.

Importing this package registers it with the library's Auto classes.
"""

from molmo_node.models.molmo.auto import register
from molmo_node.models.molmo.configuration import MolmoConfig, MolmoVisionConfig
from molmo_node.models.molmo.image_processing import MolmoImageProcessor
from molmo_node.models.molmo.modeling import MolmoForConditionalGeneration
from molmo_node.models.molmo.processing import MolmoProcessor

register()

__all__ = [
    "MolmoConfig",
    "MolmoForConditionalGeneration",
    "MolmoImageProcessor",
    "MolmoProcessor",
    "MolmoVisionConfig",
]
