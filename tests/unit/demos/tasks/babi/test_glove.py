"""Word vectors from files of GloVe: found, missing and damaged ones."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.tasks.babi.glove import GloveError, read_glove

WORDS = ("", ".", "mary", "garden", "unheard")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "glove.3d.txt"
    path.write_text(". 0.1 0.2 0.3\nthe 9 9 9\nmary 1 -2 3e-1\ngarden 4 5 6\n", encoding="utf-8")
    return path


def test_words_get_their_vectors_and_padding_zero(file):
    vectors = read_glove(file, WORDS)
    torch.testing.assert_close(vectors[:4], torch.tensor([[0, 0, 0], [0.1, 0.2, 0.3], [1, -2, 0.3], [4, 5, 6]]))


def test_a_word_that_is_missing_gets_chance_from_the_seed(file):
    missing = read_glove(file, WORDS, seed=1)[4]
    assert ((missing >= 0) & (missing < 1)).all()
    assert torch.equal(missing, read_glove(str(file), WORDS, seed=1)[4])
    assert not torch.equal(missing, read_glove(file, WORDS, seed=2)[4])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mary 1 2 3\ngarden 1 2\n", "line 2: expected a word and 3 numbers"),
        ("mary\n", "line 1: expected a word and some numbers"),
        ("mary 1 x 3\n", "line 1: could not convert"),
        ("mary " + "1 " * 5000, "line 1: expected a word"),
        ("", "is empty"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "glove.txt"
    path.write_text(text)
    with pytest.raises(GloveError, match=message):
        read_glove(path, WORDS)


def test_no_file_at_all(tmp_path):
    with pytest.raises(GloveError, match="cannot be read"):
        read_glove(tmp_path / "none.txt", WORDS)
    (tmp_path / "binary").write_bytes(b"\xff\xfe 1 2")
    with pytest.raises(GloveError, match="cannot be read"):
        read_glove(tmp_path / "binary", WORDS)
