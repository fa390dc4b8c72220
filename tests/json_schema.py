"""A checker of JSON Schema for tests: the words of the standard that our own schemas use, and no others."""

from __future__ import annotations

import re

_KNOWN = {"$schema", "$ref", "$defs", "title", "description", "type", "properties", "required", "items", "enum",
          "additionalProperties", "minItems", "maxItems", "minLength", "pattern", "minimum", "maximum",
          "exclusiveMaximum", "anyOf"}  # fmt: skip
_KINDS = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}


def problems(value, rule, whole, at="$"):
    """What a schema says against a value: the places that do not fit."""
    assert set(rule) <= _KNOWN, set(rule) - _KNOWN
    if "$ref" in rule:
        return problems(value, whole["$defs"][rule["$ref"].rpartition("/")[2]], whole, at)
    if "anyOf" in rule:
        found = [problems(value, one, whole, at) for one in rule["anyOf"]]
        return [] if any(not one for one in found) else found[0]
    if "type" in rule and type(value) is not _KINDS[rule["type"]]:
        return [at]
    bad = ["enum" in rule and value not in rule["enum"]]
    if isinstance(value, str):
        bad += [len(value) < rule.get("minLength", 0), not re.search(rule.get("pattern", ""), value)]
    if type(value) is int:
        bad += [value < rule.get("minimum", value), value > rule.get("maximum", value)]
        bad += ["exclusiveMaximum" in rule and value >= rule["exclusiveMaximum"]]
    found = [at] if any(bad) else []
    if isinstance(value, list):
        found += [at] * (not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)))
        for place, item in enumerate(value):
            found += problems(item, rule["items"], whole, f"{at}[{place}]")
    if isinstance(value, dict):
        found += [f"{at}.{name}" for name in rule.get("required", ()) if name not in value]
        for name, item in value.items():
            inner = rule["properties"].get(name)
            found += [f"{at}.{name}"] if inner is None else problems(item, inner, whole, f"{at}.{name}")
    return found
