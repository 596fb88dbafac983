"""Runs with a planted fault each, and the health they are planted into.

Every fault sits in one item of the batch from a known step on, so a diagnosis can be held against the truth: the check
that should name it, and the field, time, slot and head that its evidence should point at.

    python -m memviz.demos.gallery                     # list the faults
    python -m memviz.demos.gallery dead_slots --out runs/gallery
    memviz doctor runs/gallery/dead_slots
"""

from __future__ import annotations

from memviz.demos.gallery.runs import GalleryRun, has_strength, names, write_healthy, write_healthy_other, write_run

__all__ = ["GalleryRun", "has_strength", "names", "write_healthy", "write_healthy_other", "write_run"]
