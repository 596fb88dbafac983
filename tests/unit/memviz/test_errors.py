from __future__ import annotations

import inspect

import pytest

from memviz import errors

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.MemvizError)]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_is_in_the_tree_of_the_docstring(cls):
    assert cls.__name__ in errors.__doc__
    if cls is not errors.MemvizError:
        parent = cls.__mro__[1]
        assert f"{cls.__name__} (" in errors.__doc__ or parent is not errors.MemvizError


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.TraceNotFound, OSError),
        (errors.FieldError, KeyError),
        (errors.SchemaError, ValueError),
        (errors.MissingFieldError, RuntimeError),
        (errors.UnknownNameError, LookupError),
    ],
)
def test_errors_are_also_the_builtin_that_callers_expect(cls, builtin):
    assert issubclass(cls, builtin)


def test_a_field_error_prints_its_sentence_without_quotes():
    assert str(errors.FieldError("no field named 'x'")) == "no field named 'x'"


def test_an_unknown_name_offers_the_nearest():
    message = str(errors.UnknownNameError("demo", "coppy", ["copy", "recall"]))
    assert message == "there is no demo named 'coppy'. Did you mean 'copy'? Known: copy, recall."


def test_an_unknown_name_with_nothing_near_lists_what_is_known():
    assert "Did you mean" not in str(errors.UnknownNameError("demo", "zzz", ["copy"]))
    assert "Known: none." in str(errors.UnknownNameError("demo", "zzz", []))
