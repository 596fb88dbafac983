"""The memory that faults are planted into runs by the laws, and by a wrong equation where one is given."""

from __future__ import annotations

import numpy as np

from memviz.demos.gallery.scene import healthy, scene_of
from memviz.demos.gallery.unroll import INTERFACE, Equations, unroll
from memviz.testing.simulate import Sizes

SIZES = Sizes(batch=2)


def test_a_healthy_interface_gives_the_healthy_fields():
    fields = healthy(SIZES, seed=3)
    again = unroll({name: fields[name] for name in INTERFACE}, fields["initial/memory"])
    for name, values in again.items():
        np.testing.assert_allclose(values, fields[name], atol=1e-5, err_msg=name)


def test_a_wrong_equation_changes_what_follows_from_it():
    fields = healthy(SIZES, seed=3)
    scene = scene_of(fields, 1, SIZES, seed=3)
    lawful = unroll(scene.interface, scene.initial)
    wrong = unroll(scene.interface, scene.initial, Equations(allocate=lambda usage: np.full_like(usage, 0.1)))
    assert not np.allclose(wrong["write_weights"], lawful["write_weights"])
    np.testing.assert_array_equal(wrong["write_gate"], lawful["write_gate"])


def test_a_scene_is_a_copy_of_one_item():
    fields = healthy(SIZES, seed=3)
    scene = scene_of(fields, 1, SIZES, seed=3)
    np.testing.assert_array_equal(scene.interface["write_keys"][:, 0], fields["write_keys"][:, 1])
    scene.modes(scene.recalled, 0, 1, 0)
    assert (scene.interface["read_modes"][list(scene.recalled)] == (0, 1, 0)).all()
    assert not (fields["read_modes"][list(scene.recalled), 1] == (0, 1, 0)).all()
    assert scene.written.stop <= scene.recalled.start
