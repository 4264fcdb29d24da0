"""Builds the file of weights for LPIPS, the distance of perceptual path length, from two files that you provide.

    pip download lpips==0.1.4 --no-deps
    python -m stylegan_tf.build_lpips --vgg16 vgg16-397923af.pth --heads lpips-0.1.4-py3-none-any.whl --dest lpips.npz

--vgg16 is torchvision's VGG16 with ImageNet weights (the file that torchvision downloads to its cache). --heads is the
file weights/v0.1/vgg.pth of the lpips package on PyPI, or the package's .whl. PyTorch is not needed, and nothing in
the files is executed.
"""

import pathlib
import tempfile
import zipfile

from stylegan_tf.cli import command_line, flags
from stylegan_tf.errors import UserError
from stylegan_tf.files.file_errors import reason_of, short

FLAGS = flags.FLAGS
flags.define("vgg16", None, "torchvision's file of VGG16's ImageNet weights, .pth.")
flags.define("heads", None, "The lpips package's vgg.pth, or its .whl.")
flags.define("dest", None, "The file to write, ending in .npz.")
_HEADS_IN_WHEEL = "lpips/weights/v0.1/vgg.pth"


def main() -> None:
    flags.require("vgg16", "heads", "dest")
    if not FLAGS.dest.endswith(".npz"):
        raise UserError(f"--dest should end in .npz, got {FLAGS.dest}.")
    # Late: imports TensorFlow.
    from stylegan_tf.files.torch_weights import read_torch_weights
    from stylegan_tf.metrics.features.lpips import convert_weights, save_lpips

    with tempfile.TemporaryDirectory() as scratch:
        heads = read_torch_weights(heads_file(FLAGS.heads, pathlib.Path(scratch)))
    arrays = convert_weights(read_torch_weights(FLAGS.vgg16), heads)
    dest = pathlib.Path(FLAGS.dest)
    dest.parent.mkdir(parents=True, exist_ok=True)
    save_lpips(dest, arrays)
    print(f"{dest}: LPIPS on VGG16; use it as --image_distance={dest}")


def heads_file(path: str, scratch: pathlib.Path) -> pathlib.Path:
    """The file itself, or a copy of the one in a wheel."""
    if not path.endswith(".whl"):
        return pathlib.Path(path)
    try:
        with zipfile.ZipFile(path) as wheel:
            return pathlib.Path(wheel.extract(_HEADS_IN_WHEEL, scratch))
    except Exception as error:  # Damaged ones raise nearly anything.
        raise UserError(f"{path} is not the wheel of the lpips package ({short(reason_of(error), 100)}).") from None


if __name__ == "__main__":
    command_line.run(main)
