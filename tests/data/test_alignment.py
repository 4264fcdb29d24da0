"""Alignment of faces, on photos whose pixels say where they are."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stylegan_tf.config import PictureOptions
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.alignment import align_faces, crop_face, face_crop

HEADER = ",".join(["file", "face", *(f"{axis}{number}" for number in range(68) for axis in "xy")])


def landmarks_of(centre, angle, eyes_apart=40.0, mouth_below=44.0):
    """[68, 2]: eyes and corners of the mouth of an upright face, turned by `angle` about the point between the eyes."""
    points = np.zeros([68, 2])
    ring = np.stack([np.cos(np.arange(6)), np.sin(np.arange(6))], axis=1) * 3
    ring -= ring.mean(axis=0)
    eye = np.array([eyes_apart / 2, 0])
    points[36:42], points[42:48] = ring - eye, ring + eye
    points[48], points[54] = (-12, mouth_below), (12, mouth_below)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T + centre


def photo(width=400, height=300):
    """Red grows to the right, green downwards: half a level a pixel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 0.5, y * 0.5, np.full_like(x, 77)], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
@pytest.mark.parametrize("size", [64, 16, 256])
def test_the_crop_is_that_of_the_paper(angle, size):
    centre = np.array([200.0, 140.0])
    image = crop_face(photo(), face_crop(landmarks_of(centre, angle)), size)
    side = max(4 * 40.0, 3.6 * 44.0)  # ProGAN, App. C: s = max(4 |x'|, 3.6 |y'|), c = eyes - 0.1 y'.
    unit = (np.arange(size) + 0.5) / size - 0.5
    u, v = np.meshgrid(unit * side, unit * side + 0.1 * 44.0)
    x = centre[0] + u * np.cos(angle) - v * np.sin(angle)
    y = centre[1] + u * np.sin(angle) + v * np.cos(angle)
    inner = slice(size // 8, -size // 8)  # Away from what Lanczos sees of the edges.
    expected = np.stack([(x - 0.5) * 0.5, (y - 0.5) * 0.5, np.full_like(x, 77)], axis=-1)
    np.testing.assert_allclose(image[inner, inner], expected[inner, inner], atol=1.1)


def test_a_wide_face_counts_by_its_eyes_and_a_long_one_by_its_mouth():
    assert face_crop(landmarks_of((0, 0), 0.3, 50, 20)).side == pytest.approx(200)
    assert face_crop(landmarks_of((0, 0), 0.3, 20, 50)).side == pytest.approx(180)


def test_beyond_the_edges_the_photo_is_mirrored():
    image = np.zeros([200, 200, 3], np.uint8)
    image[:, :, 1] = 150
    found = crop_face(image, face_crop(landmarks_of((10, 100), 0.0)), 64)
    assert (found == (0, 150, 0)).all()
    with pytest.raises(ValueError, match="outside"):
        crop_face(image, face_crop(landmarks_of((900, 100), 0.0)), 64)


def write_table(path, rows):
    lines = [
        f"{name},{face}," + ",".join(f"{value:.3f}" for value in points.reshape(-1)) for name, face, points in rows
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n")


def draw_face(draw, points):
    for eye, colour in ((points[36:42], "red"), (points[42:48], "lime")):
        x, y = eye.mean(axis=0)
        draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=colour)
    draw.line([tuple(points[48]), tuple(points[54])], fill="blue", width=5)


def test_several_faces_of_a_photo_come_upright_and_the_rest_is_reported(tmp_path):
    (tmp_path / "in" / "day").mkdir(parents=True)
    faces = [landmarks_of((130, 150), 0.5), landmarks_of((350, 160), -0.7)]
    image = Image.new("RGB", (500, 320), "white")
    for face in faces:
        draw_face(ImageDraw.Draw(image), face)
    image.save(tmp_path / "in" / "day" / "a.png")
    image.save(tmp_path / "in" / "none.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    rows = [("day/a.png", number, face) for number, face in enumerate(faces)]
    rows += [("day/a.png", 2, np.zeros([68, 2])), ("bad.png", 0, faces[0]), ("gone.png", 0, faces[0])]
    write_table(tmp_path / "l.csv", rows)
    lines = []
    assert align_faces(str(tmp_path / "in"), tmp_path / "l.csv", tmp_path / "out", 128, lines.append) == 2
    for number in range(2):
        found = np.asarray(Image.open(tmp_path / "out" / "day" / f"a-{number}.png")).astype(int)
        for colour, where in (((255, 0, 0), (48, 60)), ((0, 255, 0), (80, 60)), ((0, 0, 255), (64, 96))):
            hits = np.argwhere(np.abs(found - colour).max(axis=2) < 60)
            np.testing.assert_allclose(hits.mean(axis=0)[::-1], where, atol=1.5)
    kinds = sorted(line.split(":")[0] for line in (tmp_path / "out" / "left_out.txt").read_text().splitlines())
    assert kinds == [
        "faces that cannot be cut out",
        "landmarks without a photo",
        "photos that cannot be read",
        "photos without landmarks",
    ]
    assert len(lines) == 1 and lines[0].startswith("skipped: 1 ")


def test_a_photo_with_planes_is_left_out_and_one_of_12_bits_is_reported(tmp_path):
    (tmp_path / "in").mkdir()
    wide = photo()[:, :, 0].astype(np.uint16) * 16
    Image.fromarray(wide).save(tmp_path / "in" / "a.png")
    np.save(tmp_path / "in" / "planes.npy", np.zeros([3, 300, 400, 5], np.uint8))
    write_table(tmp_path / "l.csv", [("a.png", 0, landmarks_of((200, 140), 0.0))])
    dark, right = [], []
    where = (str(tmp_path / "in"), tmp_path / "l.csv")
    align_faces(*where, tmp_path / "dark", 64, dark.append)
    assert "values up to 3200 of 65535; 1 of them come out nearly black. `white=3200`" in dark[-1]
    align_faces(*where, tmp_path / "right", 64, right.append, pictures=PictureOptions(white=4080))
    assert not any("dark" in line for line in right)
    found = np.asarray(Image.open(tmp_path / "right" / "a-0.png"))
    np.testing.assert_allclose(found[32, 32], 100, atol=2)
    write_table(tmp_path / "l.csv", [("00000001", 0, landmarks_of((200, 140), 0.0))])
    with pytest.raises(UserError, match="1 photos that cannot be read, such as 00000001 does not fit: it has 5 planes"):
        align_faces(str(tmp_path / "in" / "planes.npy"), tmp_path / "l.csv", tmp_path / "none", 64, print)
    assert "it has 5 planes" in (tmp_path / "none" / "left_out.txt").read_text()


def test_photos_with_names_that_differ_in_their_suffixes_keep_these(tmp_path):
    names = ["a.jpg", "a.png", "a.jpg.png", "b.png"]
    (tmp_path / "in").mkdir()
    for name in names:
        Image.fromarray(photo()).save(tmp_path / "in" / name)
    write_table(tmp_path / "l.csv", [(name, 0, landmarks_of((200, 140), 0.0)) for name in names])
    assert align_faces(str(tmp_path / "in"), tmp_path / "l.csv", tmp_path / "out", 16, print) == 4
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["a.jpg-0.png", "a.jpg.png-0.png", "a.png-0.png", "b-0.png"]


def test_a_wrong_table_is_refused(tmp_path):
    numbers = ",1" * 136
    for text, message in (
        ("a,b\n", "should begin with file,face,x0"),
        (HEADER + "\n\na.png,0,1,2\n", "line 3 of .*136"),
        (f"{HEADER}\nday/a.png,0{numbers}\nday\\a.png,0{numbers}\n", "line 3 of .*once"),
    ):
        (tmp_path / "l.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            align_faces("demo", tmp_path / "l.csv", tmp_path / "out", 64, print)
