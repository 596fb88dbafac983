"""Where stories lie: folders, single files, archives, families in files of their own or all mixed."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from memviz.demos.tasks.babi import files
from memviz.demos.tasks.babi.files import read_files
from memviz.demos.tasks.babi.stories import BabiError

PUBLISHED = Path(__file__).parents[6] / "shared" / "data" / "babi" / "babi_all_shuffles.tar.gz"
needs_published = pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/data/babi")

ONE = "1 Mary went to the garden.\n2 Where is Mary?\tgarden\t1\n"
SIX = "1 John went to the office.\n2 Is John in the garden?\tno\t1\n"
TENFOLD = ONE * 10
TREE = {
    "en/qa1_single-supporting-fact_test.txt": ONE,
    "en/qa6_yes-no-questions_test.txt": SIX,
    "en/qa1_single-supporting-fact_train.txt": ONE * 2,
    "en-10k/qa1_single-supporting-fact_test.txt": TENFOLD,
    "LICENSE.txt": "free",
}


@pytest.fixture(params=["folder", "tar.gz", "tar", "zip"])
def published(request, tmp_path):
    """The layout of the published data, in each form."""
    top, kind = "tasks_1-20_v1-2", request.param
    if kind == "folder":
        for name, text in TREE.items():
            path = tmp_path / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path
    archive = tmp_path / f"babi.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as written:
            for name, text in TREE.items():
                written.writestr(f"{top}/{name}", text)
        return archive
    with tarfile.open(archive, "w:gz" if kind == "tar.gz" else "w") as tar:
        for name, text in TREE.items():
            member = tarfile.TarInfo(f"./{top}/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return archive


def test_the_english_files_are_found_below_what_was_downloaded(published):
    assert Counter(story.task for story in read_files(published, "test")) == {1: 1, 6: 1}
    assert len(read_files(published, "train")) == 2
    assert [story.task for story in read_files(published, "test", [6])] == [6]


def test_other_sets_are_named_by_their_folder(published):
    assert len(read_files(published / "tasks_1-20_v1-2" / "en-10k", "test")) == 10


def test_a_folder_without_stories_says_what_is_expected(published):
    with pytest.raises(
        BabiError, match=r"expected qa1_single-supporting-fact_test\.txt and so on, or all_shuffled_test"
    ):
        read_files(published / "nowhere", "test")
    with pytest.raises(BabiError, match="holds no test stories of task 3, 4"):
        read_files(published, "test", [3, 4])


def test_a_single_file(tmp_path):
    path = tmp_path / "qa6_mine.txt"
    path.write_text(SIX)
    assert [story.task for story in read_files(path, "train")] == [6]
    assert read_files(str(path), "test") == read_files(path, "train")
    mixed = tmp_path / "mine.txt"
    mixed.write_text(ONE + SIX)
    assert [story.task for story in read_files(mixed, "train")] == [1, 6]


def test_mixed_files_are_told_apart_story_by_story(tmp_path):
    (tmp_path / "all_shuffled_train.txt").write_text(SIX + ONE + SIX)
    assert [story.task for story in read_files(tmp_path, "train")] == [6, 1, 6]
    assert [story.task for story in read_files(tmp_path, "train", [1])] == [1]


def test_what_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "all_shuffled_train.txt").write_bytes(b"1 \xff\xfe\n")
    with pytest.raises(BabiError, match="cannot be read"):
        read_files(tmp_path, "train")
    (tmp_path / "note.md").write_text("1 x")
    with pytest.raises(BabiError, match="is no folder, and no archive either"):
        read_files(tmp_path / "note.md" / "en", "train")
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("en/all_shuffled_train.txt", ONE * 100)
    data = bytearray(broken.read_bytes())
    data[60:80] = bytes(20)
    broken.write_bytes(bytes(data))
    with pytest.raises(BabiError, match="cannot be read"):
        read_files(broken, "train")
    monkeypatch.setattr(files, "LARGEST", 10)
    (tmp_path / "all_shuffled_train.txt").write_text(ONE)
    with pytest.raises(BabiError, match="is larger than"):
        read_files(tmp_path, "train")


@needs_published
@pytest.mark.parametrize("part", ["train", "test"])
def test_the_published_mixed_files_hold_a_thousand_questions_of_each_family(part):
    stories = read_files(PUBLISHED, part)
    assert Counter(story.task for story in stories) == dict.fromkeys(range(1, 21), 1000)
    assert all(story.supporting for story in stories)
    # What each family alone answers, which a story in the wrong family would break.
    answers = {task: {story.answer for story in stories if story.task == task} for task in range(1, 21)}
    assert answers[6] == answers[9] == answers[17] == answers[18] == {"yes", "no"}
    assert answers[10] == {"yes", "no", "maybe"}
    assert answers[16] == {"gray", "green", "white", "yellow"}
    assert {story.task for story in stories if any(fact.startswith("The ") for fact in story.facts)} == {4, 17, 18, 19}
