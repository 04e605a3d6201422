"""What is asked, in the words that the models were trained on.

Molmo v1's wordings are those of its training data (molmo.md §7, §8): pointing and counting
in free wording, clocks behind their style tag. Molmo2 was trained on the same kinds of
requests inside a chat.
"""

from __future__ import annotations

from typing import Literal

from molmo_node.errors import ConfigError
from molmo_node.messages import Question

# percent: Molmo v1, <point x="61.5" …>; thousandths: Molmo2, <points coords="1 1 615 …">.
PointFormat = Literal["percent", "thousandths"]

_GAUGE = (
    "What value does {which} show? Answer with the number and its unit only, without any pointing."
)
_JSON = "Extract all text in this image as JSON. Answer with the JSON only."
_JSON_SCHEMA = (
    "Extract the information in this image as JSON that follows this JSON schema: {schema} "
    "Answer with the JSON only."
)


def prompt_for(question: Question, point_format: PointFormat) -> str:
    """The text put to a model of this family.

    Raises:
        ConfigError: the question needs a text and has none.
    """
    text = " ".join(question.text.split())
    if question.task in ("point", "count", "ask") and not text:
        raise ConfigError(f"{question.task} needs a text: what to look for")
    match question.task:
        case "point":
            return f"Point to {text}."
        case "count":
            return (
                f"How many {text} are there?"
                if point_format == "percent"
                else (f"Point and count the {text}.")
            )
        case "read_clock":
            tag = "clocks: " if point_format == "percent" else ""
            return f"{tag}What time is being shown?"
        case "read_gauge":
            return _GAUGE.format(which=f"the gauge {text}" if text else "the gauge")
        case "describe":
            return "Describe this image."
        case "extract":
            if question.schema:
                return _JSON_SCHEMA.format(schema=" ".join(question.schema.split()))
            return _JSON
        case _:
            return text
