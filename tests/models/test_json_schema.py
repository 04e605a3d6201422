"""What follows a schema, what does not, and what cannot be told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molmo_node.messages import Question
from molmo_node.models.json_schema import schema_fault
from molmo_node.models.replies import to_reply

PLATE = {
    "type": "object",
    "properties": {
        "serial": {"type": "string", "minLength": 2},
        "bar": {"type": "number", "minimum": 0, "maximum": 10},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
    },
    "required": ["serial"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"serial": "A-17", "bar": 4.2, "tags": ["a"]}, None),
        ({"bar": 1}, "lacks serial"),
        ({"serial": "A"}, "minLength"),
        ({"serial": 17}, "not string"),
        ({"serial": "A-17", "bar": 11}, "maximum"),
        ({"serial": "A-17", "bar": True}, "not number"),
        ({"serial": "A-17", "tags": ["c"]}, "choices"),
        ({"serial": "A-17", "tags": ["a"] * 3}, "maxItems"),
        ({"serial": "A-17", "x": 1}, "does not know"),
        ([], "not object"),
    ],
)
def test_a_plate(value: object, fault: str | None) -> None:
    found = schema_fault(value, json.dumps(PLATE))
    assert found is None if fault is None else fault in (found or "")


@pytest.mark.parametrize("schema", ["{", "[]", '{"pattern": "x"}', '{"$ref": "#"}'])
def test_what_cannot_be_checked_is_no_pass(schema: str) -> None:
    assert schema_fault({}, schema)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
                        ["type", "items", "enum", "properties", "required", "minItems", "x"]),
                        inner), max_leaves=20), st.text(max_size=30))  # fmt: skip
def test_any_schema_and_any_value_give_a_reason_or_none(value: object, text: str) -> None:
    for schema in (json.dumps(value), text):
        fault = schema_fault(value, schema)
        assert fault is None or fault


def test_an_answer_that_breaks_the_schema_is_no_answer() -> None:
    question = Question.extract(json.dumps(PLATE))
    good = to_reply(question, '```{"serial": "A-17"}```', "percent", 10, 10)
    bad = to_reply(question, '{"bar": 3}', "percent", 10, 10)
    assert good.data == {"serial": "A-17"}
    assert (bad.data, bad.no_answer) == (None, "the answer lacks serial")
