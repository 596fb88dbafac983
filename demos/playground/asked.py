"""The body of a question, checked before anything is done with it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from flask import Request

from memviz.dashboards.params import ApiError
from memviz.demos.playground import limits

SHAPE = '{"story": text, "question": text}'


@dataclass(frozen=True, slots=True)
class Asked:
    """A story, one sentence per line, and a question about it."""

    story: str
    question: str


def read(request: Request) -> Asked:
    """The question of a request.

    Raises:
        ApiError: 413 for more than the limits, 400 for anything but the two texts.
    """
    request.max_content_length = limits.BODY  # where a body comes without its length
    if (request.content_length or 0) > limits.BODY:
        what = f"a body of {request.content_length} bytes"
        raise ApiError(413, what, f"at most {limits.BODY} bytes", "shorten the story")
    try:
        body = json.loads(request.get_data(cache=False).decode())
    except (ValueError, RecursionError):
        raise ApiError(400, "the body is no JSON", SHAPE, "see docs/api.md") from None
    if not isinstance(body, dict):
        raise ApiError(400, f"the body is a {_kind(body)}", f"an object, {SHAPE}", "see docs/api.md")
    for name in body:
        if name not in ("story", "question"):
            raise ApiError(400, f"there is no member {name!r:.40}", SHAPE, "leave it out")
    story = _text(body, "story", limits.STORY)
    return Asked(story, _text(body, "question", limits.QUESTION))


def _text(body: dict[str, object], name: str, most: int) -> str:
    if name not in body:
        raise ApiError(400, f"{name} is missing", SHAPE, f"add {name}")
    value = body[name]
    if not isinstance(value, str):
        raise ApiError(400, f"{name} is a {_kind(value)}", "text", f"send {name} as a text; sentences end with a line")
    if len(value) > most:
        raise ApiError(413, f"{name} has {len(value)} characters", f"at most {most}", f"shorten the {name}")
    return value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "number", float: "number", list: "list", dict: "object", str: "text"}
    return names[type(value)]
