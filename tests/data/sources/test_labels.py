"""Labels from folders, files and attributes; CelebA."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from stylegan_tf.config import SourceOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources import open_source


@pytest.fixture
def animals(tmp_path):
    """Pictures in class folders, all in one folder as archives have it: cat, dog, cat, owl in the order of paths."""
    for name in ("cat/1", "cat/2", "dog/1", "owl/deep/1"):
        path = tmp_path / "animals" / "all" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    return tmp_path / "animals"


def rows(source):
    return source.labels.tolist()


def test_folders_are_classes(animals):
    for where in (animals, animals / "all"):
        source = open_source(str(where), SourceOptions(labels="folders"))
        assert source.label_names == ("cat", "dog", "owl") and source.labels.dtype == np.float32
        assert rows(source) == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert open_source(str(animals)).labels is None


def test_a_picture_outside_of_the_folders_has_no_class(animals):
    Image.new("RGB", (8, 8)).save(animals / "all" / "stray.png")
    with pytest.raises(UserError, match="stray.png is not inside a folder"):
        open_source(str(animals / "all"), SourceOptions(labels="folders"))


def test_dataset_json_in_the_source_is_read(animals):
    pairs = [["cat/1.png", 0], ["cat/2.png", 2], ["dog/1.png", 1], ["owl\\deep\\1.png", 2], ["unused.png", 0]]
    (animals / "all" / "dataset.json").write_text(json.dumps({"labels": pairs}))
    source = open_source(str(animals / "all"), SourceOptions(labels="dataset.json"))
    assert rows(source) == [[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]] and source.label_names == ("0", "1", "2")


def test_dataset_json_may_hold_numbers(animals, tmp_path):
    pairs = [["cat/1.png", [0.5, 1]], ["cat/2.png", [1, 2]], ["dog/1.png", [0, 0]], ["owl/deep/1.png", [3, 4]]]
    (tmp_path / "elsewhere.json").write_text(json.dumps({"labels": pairs}))
    source = open_source(str(animals / "all"), SourceOptions(labels=str(tmp_path / "elsewhere.json")))
    assert rows(source) == [[0.5, 1], [1, 2], [0, 0], [3, 4]]


def test_csv_files_hold_classes_or_numbers(animals, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("file,kind\ncat/1.png,red\ncat/2.png,blue\ndog/1.png, red\nowl/deep/1.png,blue\n\n")
    source = open_source(str(animals / "all"), SourceOptions(labels=str(path)))
    assert source.label_names == ("blue", "red") and source.labels.argmax(axis=1).tolist() == [1, 0, 1, 0]
    path.write_text("path,age,weight\ncat/1.png,1,2\ncat/2.png,3,4.5\ndog/1.png,5,6\nowl/deep/1.png,7,8\n")
    source = open_source(str(animals / "all"), SourceOptions(labels=str(path)))
    assert source.label_names == ("age", "weight") and rows(source) == [[1, 2], [3, 4.5], [5, 6], [7, 8]]
    path.write_text("path,class\ncat/1.png,2\ncat/2.png,10\ndog/1.png,2\nowl/deep/1.png,1\n")
    source = open_source(str(animals / "all"), SourceOptions(labels=str(path)))
    assert source.label_names == ("1", "2", "10") and source.labels.argmax(axis=1).tolist() == [1, 2, 1, 0]
    first, second = 2**53, 2**53 + 1
    path.write_text(f"path,class\ncat/1.png,{first}\ncat/2.png,{second}\ndog/1.png,{first}.0\nowl/deep/1.png,1\n")
    source = open_source(str(animals / "all"), SourceOptions(labels=str(path)))
    assert source.label_names == ("1", str(first), str(second))
    assert source.labels.argmax(axis=1).tolist() == [1, 2, 1, 0]


def test_npy_files_are_in_the_order_of_the_paths(animals, tmp_path):
    np.save(tmp_path / "labels.npy", np.array([0, 1, 1, 0]))
    assert rows(open_source(str(animals), SourceOptions(labels=str(tmp_path / "labels.npy")))) == [
        [1, 0],
        [0, 1],
        [0, 1],
        [1, 0],
    ]
    np.save(tmp_path / "labels.npy", np.arange(8, dtype=np.float64).reshape(4, 2))
    assert rows(open_source(str(animals), SourceOptions(labels=str(tmp_path / "labels.npy")))) == [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
    ]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.json", "{", "a.json is not a readable file of labels"),
        ("a.json", "[]", "should hold .*labels"),
        ("a.json", '{"labels": null}', "should hold .*labels"),
        ("a.json", '{"labels": [["1.png", "x"]]}', "expected class numbers"),
        ("a.json", '{"labels": [["1.png", [1, 2]], ["2.png", [1]]]}', "expected class numbers"),
        ("a.json", '{"labels": [["1.png", -1]]}', "class numbers start at 0"),
        ("a.json", '{"labels": [["cat/1.png", 1]]}', "no label for 3 of 4 pictures, such as all/cat/2.png"),
        ("a.csv", "cat/1.png,3\n", "should begin with a line like file,class, found: cat/1.png,3"),
        ("a.csv", "", "should begin with a line"),
        ("a.csv", "file,class\ncat/1.png\n", "line 2 of .*a.csv has 1 cells"),
        ("a.csv", "file,class\n\n\ncat/1.png\n", "line 4 of .*a.csv has 1 cells"),
        ("a.csv", "file,a,b\ncat/1.png,1,x\n", "should all be numbers.*'x'"),
        ("a.npy", "no array", "a.npy is not a readable file of labels"),
        ("a.txt", "", "this source has no attributes"),
        ("none.csv", None, "there is no such file"),
        ("a.csv", "file,class\nx.png,cat\nx.png,dog\n", "2 labels for x.png"),
        ("a.csv", "file,class\ncat/1.png,a\n1.png,b\ncat/2.png,a\ndog/1.png,a\nowl/deep/1.png,b\n", "two labels for"),
        ("a.csv", "file,class\nx.png,cat\ny.png, \n", "line 3 of .*a.csv has no value in its column class"),
        ("a.csv", "file,a,b\nx.png,1,nan\n", r"the label .1.0, nan. for x.png .* expected finite"),
        ("a.csv", "file,a\nx.png,1e300\n", r"the label .1e.300. for x.png .* expected finite"),
        ("a.json", '{"labels": [["x.png", 0], ["x.png", 1]]}', "2 labels for x.png"),
        ("a.json", '{"labels": {"x.png": 0, "x.png": 1}}', "2 labels for x.png"),
        ("a.json", '{"labels": [["x.png", [0, NaN]]]}', "the label .0.0, nan. for x.png .* expected finite"),
        ("a.json", '{"labels": [["x.png", [0, 1e999]]]}', "for x.png .* expected finite"),
        ("a.json", "[" * 100_000, "a.json is not a readable file of labels"),
        ("a.csv", "file,class\n" + "x" * 200_000, "a.csv is not a readable file of labels"),
    ],
)
def test_bad_labels_are_explained(animals, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        open_source(str(animals), SourceOptions(labels=str(tmp_path / name)))


@pytest.mark.parametrize(
    "array", [np.full([4, 2], np.nan), np.array([0, 1, np.inf, 0]), np.full([4, 1], 1e300), np.zeros([4, 0])]
)
def test_arrays_of_labels_must_be_finite_and_not_empty(animals, tmp_path, array):
    np.save(tmp_path / "labels.npy", array)
    with pytest.raises(UserError, match=r"the label .* for picture \d .* finite|holds float64 .4, 0.,"):
        open_source(str(animals), SourceOptions(labels=str(tmp_path / "labels.npy")))


def test_whole_numbers_are_classes_whatever_their_type(animals, tmp_path):
    np.save(tmp_path / "labels.npy", np.array([1.0, 2.0, 1.0, 5.0]))
    source = open_source(str(animals), SourceOptions(labels=str(tmp_path / "labels.npy")))
    assert source.label_names == ("1", "2", "5") and source.labels.argmax(axis=1).tolist() == [0, 1, 0, 2]
    assert source.notes == ("class numbers from 1 to 5, of which 3 occur: these are the columns of the labels.",)
    (tmp_path / "a.csv").write_text("file,class\rcat/1.png,1.0\rcat/2.png,2\rdog/1.png,1\rowl/deep/1.png,2.0\r")
    source = open_source(str(animals), SourceOptions(labels=str(tmp_path / "a.csv")))
    assert source.label_names == ("1", "2") and source.labels.argmax(axis=1).tolist() == [0, 1, 0, 1]


def test_a_stray_picture_among_the_folders_is_named(animals):
    Image.new("RGB", (8, 8)).save(animals / "all" / "cover.jpg")
    for where in (animals, animals / "all"):
        with pytest.raises(UserError, match="cover.jpg is not inside a folder of a class, as .*1.png is"):
            open_source(str(where), SourceOptions(labels="folders"))
    with pytest.raises(UserError, match="all 2 pictures are in one folder"):
        open_source(str(animals / "all" / "cat"), SourceOptions(labels="folders"))


def test_train_and_val_are_no_classes(animals, tmp_path):
    (tmp_path / "set" / "train").mkdir(parents=True)
    for part, pet in [("train", "cat"), ("train", "dog"), ("val", "cat"), ("val", "dog")]:
        (tmp_path / "set" / part / pet).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "set" / part / pet / "1.png")
    source = open_source(str(tmp_path / "set"), SourceOptions(labels="folders"))
    assert source.label_names == ("cat", "dog") and source.labels.argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert source.notes[0].startswith("train, val are taken for parts of one set")
    for part in ("train", "val"):
        (tmp_path / "flat" / part).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "flat" / part / "1.png")
    with pytest.raises(UserError, match="train and val are parts of a set, not classes"):
        open_source(str(tmp_path / "flat"), SourceOptions(labels="folders"))


def test_labels_that_nobody_uses_are_told(animals):
    (animals / "all" / "dataset.json").write_text('{"labels": [["cat/1.png", 0]]}')
    assert open_source(str(animals)).notes == (
        "the source holds all/dataset.json with labels, which are not used: `labels=all/dataset.json`.",
    )
    (animals / "all" / "dataset.json").write_text('{"labels": null}')
    assert open_source(str(animals)).notes == ()


def test_labels_of_another_number_are_refused(animals, tmp_path):
    np.save(tmp_path / "labels.npy", np.zeros([3], int))
    with pytest.raises(UserError, match=r"labels.npy holds int64 \[3\], expected class numbers \[4\]"):
        open_source(str(animals), SourceOptions(labels=str(tmp_path / "labels.npy")))


def test_a_folder_brings_no_classes(animals):
    with pytest.raises(UserError, match="`labels=classes`: this source has none"):
        open_source(str(animals), SourceOptions(labels="classes"))


@pytest.fixture
def celeba(tmp_path):
    """Three faces whose pixels are their coordinates; 89, 121 is the centre that the paper crops around."""
    y, x = np.mgrid[0:218, 0:178].astype(np.uint8)
    (tmp_path / "img_align_celeba").mkdir()
    for number in (1, 2, 3):
        Image.fromarray(np.stack([x, y, np.full_like(x, number)], axis=-1)).save(
            tmp_path / "img_align_celeba" / f"{number:06d}.png"
        )
    (tmp_path / "list_attr_celeba.txt").write_text(
        "3\nBald Smiling\n000001.png -1  1\n000002.png  1 -1\n000003.png -1 -1\n"
    )
    return tmp_path


def test_celeba_faces_are_cropped_as_in_the_paper(celeba):
    for where in (celeba, celeba / "img_align_celeba"):
        source = open_source(str(where))
        assert (len(source), source.resolution) == (3, 128)
        image = source.read(1).image
        assert image[64, 64].tolist() == [89, 121, 2]
        assert image[0, 0].tolist() == [25, 57, 2] and image[-1, -1].tolist() == [152, 184, 2]


def test_celeba_attributes_are_labels(celeba):
    source = open_source(str(celeba), SourceOptions(labels="Smiling,Bald"))
    assert source.label_names == ("Smiling=no", "Smiling=yes", "Bald=no", "Bald=yes")
    assert rows(source) == [[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0]]
    with pytest.raises(UserError, match="unknown attribute 'Sad'.*Bald, Smiling"):
        open_source(str(celeba), SourceOptions(labels="Sad"))


def test_celeba_is_found_as_its_page_and_as_kaggle_have_it(celeba, tmp_path):
    page = tmp_path / "CelebA"
    (page / "Img").mkdir(parents=True)
    (page / "Anno").mkdir()
    (celeba / "img_align_celeba").rename(page / "Img" / "img_align_celeba")
    (celeba / "list_attr_celeba.txt").rename(page / "Anno" / "list_attr_celeba.txt")
    for where in (page, page / "Img", page / "Img" / "img_align_celeba"):
        assert len(open_source(str(where), SourceOptions(labels="Smiling"))) == 3
    with zipfile.ZipFile(page / "Img" / "img_align_celeba.zip", "w") as archive:
        for number in (1, 2, 3):
            path = page / "Img" / "img_align_celeba" / f"{number:06d}.png"
            archive.write(path, f"img_align_celeba/{path.name[:-4]}.jpg")
    text = (page / "Anno" / "list_attr_celeba.txt").read_text()
    (page / "Anno" / "list_attr_celeba.txt").write_text(text.replace(".png", ".jpg"))
    source = open_source(str(page / "Img" / "img_align_celeba.zip"), SourceOptions(labels="Smiling"))
    assert source.resolution == 128 and rows(source) == [[0, 1], [1, 0], [1, 0]]
    kaggle = tmp_path / "archive"
    (kaggle / "img_align_celeba").mkdir(parents=True)
    (page / "Img" / "img_align_celeba").rename(kaggle / "img_align_celeba" / "img_align_celeba")
    (kaggle / "list_attr_celeba.csv").write_text(
        "image_id,Bald,Smiling\n000001.png,-1,1\n000002.png,1,-1\n000003.png,-1,-1\n"
    )
    assert rows(open_source(str(kaggle), SourceOptions(labels="Smiling"))) == [[0, 1], [1, 0], [1, 0]]


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "list_attr_celeba.txt is missing"),
        ("3\nBald\n000001.png 1\n", "has no line for 000002.png"),
        ("3\nBald\n000001.png 2\n", "line 3 of .* should have a name and 1 values of -1 or 1"),
        ("", "has no line for"),
    ],
)
def test_damaged_attributes_are_explained(celeba, content, message):
    path = celeba / "list_attr_celeba.txt"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message):
        open_source(str(celeba), SourceOptions(labels="Bald"))


def test_a_face_of_another_size_is_a_bad_picture(celeba):
    stream = io.BytesIO()
    Image.new("RGB", (100, 100)).save(stream, "PNG")
    (celeba / "img_align_celeba" / "000002.png").write_bytes(stream.getvalue())
    with pytest.raises(UserError, match="000002.png has 100x100 pixels, expected 178x218"):
        open_source(str(celeba)).read(1)
