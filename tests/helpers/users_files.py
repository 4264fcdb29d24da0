"""What a reader of the documentation has at hand: photos, arrays, tables and downloads under the names of the pages."""

import re

import numpy as np
from PIL import Image

from stylegan_tf.config import SourceOptions, WriteOptions
from stylegan_tf.data.making.writer import write_tfrecords
from stylegan_tf.data.sources import open_source
from tests.helpers import authors_layout
from tests.helpers.authors_pickles import pickled


def bring(name, folder):
    """Writes the file or folder `name` into `folder`."""
    _WRITERS[name](folder / name)


def brought_by_readers(text):
    """The names that are given to the commands of a page."""
    return [name for name in _WRITERS if re.search(rf"(--\w+[ =]|,){re.escape(name)}(?![\w.])", text)]


def _photos(path):
    _pictures(path)
    (path / "cut_off.jpg").write_bytes((path / "1.jpg").read_bytes()[:300])
    (path / "notes.txt").write_text("not a picture")


def _pictures(path, count=32):
    path.mkdir()
    random = np.random.RandomState(0)
    for number in range(1, count + 1):
        pixels = random.uniform(0, 255, [3, 4, 3]).astype(np.uint8)
        Image.fromarray(pixels).resize((80 + number, 70), Image.BICUBIC).save(path / f"{number}.jpg")


def _landmarks(path):
    header = ["file", "face", *(f"{axis}{number}" for number in range(68) for axis in "xy")]
    points = np.full([68, 2], 30.0)
    points[36:42], points[42:48], points[48], points[54] = (30, 25), (50, 25), (33, 45), (47, 45)
    rows = [["1.jpg", 0, *points.reshape(-1)]]
    path.write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")


def _planes(count, kind=np.uint8):
    def write(path):
        np.save(path, np.random.RandomState(0).uniform(-80, 0, [16, 16, 16, count]).astype(kind))

    return write


def _celeba(path):
    (path / "img_align_celeba").mkdir(parents=True)
    random = np.random.RandomState(0)
    lines = ["40", "Eyeglasses Male Smiling"]
    for number in range(1, 41):
        pixels = random.randint(0, 256, [218, 178, 3], np.uint8)
        Image.fromarray(pixels).save(path / "img_align_celeba" / f"{number:06d}.jpg")
        lines.append(f"{number:06d}.jpg " + " ".join(random.choice(["-1", " 1"], 3)))
    (path / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")


def _demo_pictures(first, last):
    def write(path):
        source = open_source("demo", SourceOptions(resolution=32, max_images=last))
        write_tfrecords(source, path, WriteOptions(shards=1))

    return write


def _authors_networks(path):
    names = (authors_layout.style_generator("G"), authors_layout.discriminator(), authors_layout.style_generator("Gs"))
    path.write_bytes(pickled(names))


def _run(seed):
    def write(path):
        from stylegan_tf.networks.network_file import Networks, save_networks
        from tests.helpers.tiny_networks import discriminator, generator

        path.mkdir(parents=True)
        for number in range(1, 6):
            network = generator(seed + number)[0]
            save_networks(path / f"network-{number:06d}.npz", Networks(network, discriminator()[0], network, {}))

    return write


def _lpips(path):
    from stylegan_tf.metrics.features.image_distance import convert_weights, save_lpips
    from tests.helpers import lpips_case

    save_lpips(path, convert_weights(*lpips_case.weights(np.random.RandomState(0))))


_WRITERS = {
    "photos": _photos,
    "pictures": _pictures,
    "landmarks.csv": _landmarks,
    "aerial.npy": _planes(5),
    "rgba.npy": _planes(4),
    "spectra.npy": _planes(2, np.float32),
    "celeba": _celeba,
    "datasets/train": _demo_pictures(0, 32),
    "datasets/test": _demo_pictures(0, 48),
    "karras2019stylegan-ffhq-1024x1024.pkl": _authors_networks,
    "runs/faces": _run(0),
    "runs/cartoons": _run(100),
    "lpips.npz": _lpips,
}
