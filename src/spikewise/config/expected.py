"""What a field takes, in a user's words, read from its JSON schema."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

__all__ = ["expected"]

_TEXT = {"boolean": "true or false", "string": "a text", "null": "none", "object": "a table"}


def expected(config_type: type[BaseModel], path: Sequence[str | int]) -> str:
    """What stands at `path` of a config, such as "a whole number from 1, or 'auto'"."""
    schema = _schema(config_type)
    at: dict[str, Any] = schema
    for part in path:
        at = _below(at, part, schema.get("$defs", {}))
    return _described(at, schema.get("$defs", {}))


@lru_cache(maxsize=64)
def _schema(config_type: type[BaseModel]) -> dict[str, Any]:
    return config_type.model_json_schema()


def _below(schema: dict[str, Any], part: str | int, known: dict[str, Any]) -> dict[str, Any]:
    """The schema of a key or an item; empty where there is none."""
    for one in _alternatives(schema, known):
        if isinstance(part, int):
            at_places = one.get("prefixItems", [])
            if part < len(at_places):
                return dict(at_places[part])
            if "items" in one and isinstance(one["items"], dict):
                return dict(one["items"])
        elif part in one.get("properties", {}):
            return dict(one["properties"][part])
        elif isinstance(one.get("additionalProperties"), dict):
            return dict(one["additionalProperties"])
    return {}


def _alternatives(schema: dict[str, Any], known: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _alternatives(known[schema["$ref"].rpartition("/")[2]], known)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return [one for inner in schema[word] for one in _alternatives(inner, known)]
    return [schema]


def _described(schema: dict[str, Any], known: dict[str, Any]) -> str:
    found = _alternatives(schema, known)
    kinds = [str(one["properties"]["kind"]["const"]) for one in found if _has_kind(one)]
    parts = [_one(one, known) for one in found if not _has_kind(one)]
    if kinds:
        parts.insert(0, f"a table with a kind ({', '.join(sorted(set(kinds)))})")
    return ", or ".join(dict.fromkeys(part for part in parts if part)) or "something else"


def _has_kind(schema: dict[str, Any]) -> bool:
    return "const" in schema.get("properties", {}).get("kind", {})


def _one(schema: dict[str, Any], known: dict[str, Any]) -> str:
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        *some, last = map(repr, schema["enum"])
        return f"{', '.join(some)} or {last}" if some else last
    kind = schema.get("type", "")
    if kind in ("integer", "number"):
        return " ".join(("a whole number" if kind == "integer" else "a number", *_range(schema)))
    if kind == "array":
        return _list(schema, known)
    if "properties" in schema:
        return f"a table of settings ({', '.join(schema['properties'])})"
    return _TEXT.get(kind, "") + (" that is not empty" if kind == "string" and schema.get("minLength") else "")


def _list(schema: dict[str, Any], known: dict[str, Any]) -> str:
    if "prefixItems" in schema:
        return f"a list of {len(schema['prefixItems'])}: {_described(schema['prefixItems'][0], known)} each"
    few = f" with at least {schema['minItems']}" if schema.get("minItems") else ""
    items = _described(schema["items"], known) if isinstance(schema.get("items"), dict) else ""
    return f"a list{few}" + (f", of which each is {items}" if items else "")


def _range(schema: dict[str, Any]) -> list[str]:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return [f"{word} {schema[key]:,}" for key, word in words.items() if key in schema]
