"""Colours of values, one choice for every picture: fixed scales that survive colour blindness, and marks for no number.

Weights, gates and modes on 0..1 in cividis (Nuñez, Anderton and Renslow 2018); signed values diverging around zero,
blue to orange; what is not negative and unbounded in greys. What is no number has a colour of no scale.
"""

from __future__ import annotations

CIVIDIS = ("00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838")

DIVERGING = ("1b5e9e", "6f9fc6", "b7cee1", "f4f5f6", "e5c09d", "cd8b50", "b35400")

GREY = ("f0f2f5", "b9bfc6", "828a93", "47505b")

NAN = "c2188b"
INFINITE = "ed9cd1"


def table(stops: tuple[str, ...], count: int) -> bytes:
    """`count` colours along some stops, three bytes each, from the low end to the high one."""
    colours = bytearray()
    for number in range(count):
        place = number / max(1, count - 1) * (len(stops) - 1)
        left = min(int(place), len(stops) - 2)
        share = place - left
        pair = (bytes.fromhex(stops[left]), bytes.fromhex(stops[left + 1]))
        colours += bytes(round(a + (b - a) * share) for a, b in zip(*pair, strict=True))
    return bytes(colours)
