"""Builds the weights file of LPIPS, the distance used by perceptual path length, from two files that you provide.

    pip download lpips==0.1.4 --no-deps
    python -m stylegan_tf.build_lpips --vgg16 vgg16-397923af.pth --heads lpips-0.1.4-py3-none-any.whl --dest lpips.npz

--vgg16 is torchvision's VGG16 with ImageNet weights (the file that torchvision downloads to its cache). --heads is the
file weights/v0.1/vgg.pth of the lpips package on PyPI, or the package's .whl. PyTorch is not needed, and nothing in
the files is executed.
"""

from stylegan_tf.cli import command_line, flags

FLAGS = flags.FLAGS
flags.define("vgg16", None, "torchvision's .pth file of VGG16 with ImageNet weights.")
flags.define("heads", None, "File vgg.pth of the lpips package, or the package's .whl.")
flags.define("dest", None, "The file to write, ending in .npz.")


def main() -> None:
    flags.require("vgg16", "heads", "dest")
    flags.require_suffix("dest", ".npz")
    from stylegan_tf.metrics.features.image_distance import build_lpips  # Late: imports TensorFlow.

    build_lpips(FLAGS.vgg16, FLAGS.heads, FLAGS.dest)
    print(f"{FLAGS.dest}: LPIPS on VGG16; use it as --image_distance={FLAGS.dest}")


if __name__ == "__main__":
    command_line.run(main)
