"""Networks that turn images into features: TF-Hub modules, SavedModels, EfficientNet-Lite0."""

import dataclasses
import hashlib
import pathlib
import re
import shutil
import tarfile
import tempfile
import warnings
from typing import Callable, Optional

import tensorflow as tf

from stylegan_tf.config import INCEPTION
from stylegan_tf.config.errors import UserError
from stylegan_tf.data.sources.archives import check_tar_end
from stylegan_tf.files.arrays import file_sha256
from stylegan_tf.files.file_errors import reading
from stylegan_tf.files.torch_weights import read_torch_weights
from stylegan_tf.metrics.features import efficientnet

EFFICIENTNET = "efficientnet_lite0"
_INCEPTION_SIZE = 299
_FEATURES, _LOGITS = "pool_3", "logits"  # Names in the output of TF-GAN's module.
_OFFLINE = f"without network access give `feature_extractor={EFFICIENTNET}`, or a SavedModel folder or .tar.gz."


@dataclasses.dataclass(frozen=True)
class FeatureExtractor:
    """uint8 images [N, H, W, 1 or 3] -> {"features": float32 [N, width], "logits": float32 [N, num_classes]}.

    Call it with tensors; it runs in graphs and in replicas. There are no logits if `num_classes` is None.
    """

    name: str  # Distinguishes results: "inception" is TF-GAN's, from its own address, and nothing else.
    digest: str  # SHA-256 of the files that it was loaded from.
    resize: str  # How images are brought to the network's input size.
    width: int
    num_classes: Optional[int]
    compute: Callable[[tf.Tensor], dict]

    @property
    def suffix(self) -> str:
        """What names of results end in, so that numbers that cannot be compared do not look alike."""
        return "" if self.name == "inception" else f"-{self.name}"

    def protocol(self) -> dict:
        return {"features": self.name, "features_digest": self.digest, "resize": self.resize}

    def __call__(self, images: tf.Tensor) -> dict:
        if images.shape[-1] == 1:
            images = tf.repeat(images, 3, axis=-1)
        if images.shape[-1] != 3:
            raise UserError(f"metrics are of pictures with 1 or 3 channels, these have {images.shape[-1]}.")
        return self.compute(images)


def load_extractor(handle: str) -> FeatureExtractor:
    """The extractor of option `feature_extractor`. Call it in the scope of the strategy that runs it.

    Args:
      handle: a TF-Hub or http:// handle, a SavedModel folder or .tar.gz with the interface of TF-GAN's Inception
        (float32 images [N, 299, 299, 3] in [-1, 1] -> features, or a dictionary with "pool_3" and perhaps "logits"),
        or "efficientnet_lite0".
    Raises:
      UserError if it cannot be loaded, or has another interface.
    """
    if handle == EFFICIENTNET:
        return _efficientnet()
    with tempfile.TemporaryDirectory() as scratch:
        folder = _resolve(handle, pathlib.Path(scratch))
        digest = _digest(folder)
        module = _load(handle, folder)
    name = "inception" if handle == INCEPTION else f"{_slug(handle)}-{digest[:8]}"
    compute = _with_preprocessing(_callable(handle, module), handle)
    try:
        probe = _probe(compute)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise UserError(
            f"{handle} does not take float32 images [N, {_INCEPTION_SIZE}, {_INCEPTION_SIZE}, 3]: {error}"
        ) from None
    classes = probe["logits"].shape[1] if "logits" in probe else None
    resize = f"bilinear to {_INCEPTION_SIZE}x{_INCEPTION_SIZE}"
    return FeatureExtractor(name, digest, resize, int(probe["features"].shape[1]), classes, compute)


def _probe(compute: Callable) -> dict:
    """The outputs for two black images. Variables of several replicas can only be read within a replica."""
    strategy = tf.distribute.get_strategy()
    outputs = strategy.run(tf.function(lambda: compute(tf.zeros([2, 32, 32, 3], tf.uint8))))
    return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], outputs)


def _efficientnet() -> FeatureExtractor:
    """Resizes with antialiasing: no published figures depend on anything else."""
    path = efficientnet.weights_file()
    with reading(path, "file of EfficientNet-Lite0's weights"):
        network = efficientnet.EfficientNetLite0(read_torch_weights(path))
    size = [efficientnet.SIZE] * 2

    def compute(images):
        return network(tf.image.resize(tf.cast(images, tf.float32), size, "bilinear", antialias=True))

    resize = f"bilinear with antialiasing to {efficientnet.SIZE}x{efficientnet.SIZE}"
    widths = efficientnet.FEATURES, efficientnet.CLASSES
    return FeatureExtractor(EFFICIENTNET, file_sha256(path), resize, *widths, compute)


def _resolve(handle: str, scratch: pathlib.Path) -> pathlib.Path:
    """The folder of the SavedModel: the handle itself, what TF-Hub downloads, or the unpacked archive."""
    path = pathlib.Path(handle)
    if path.is_dir():
        return path
    if path.is_file():
        _unpack(path, scratch)
        return scratch
    if "://" not in handle:
        raise UserError(f"`feature_extractor`: {handle} does not exist; give a handle, a SavedModel folder or .tar.gz.")
    try:
        return pathlib.Path(_tensorflow_hub().resolve(handle))
    except (OSError, ValueError, RuntimeError, EOFError, tarfile.TarError, tf.errors.OpError) as error:
        raise UserError(f"cannot load the feature extractor {handle} ({error}): {_OFFLINE}") from None


def _unpack(path: pathlib.Path, folder: pathlib.Path) -> None:
    """Unpacks plain files only, and only into `folder`."""
    with reading(path, ".tar.gz of a SavedModel"), tarfile.open(path) as archive:
        for member in archive:
            target = (folder / member.name).resolve()
            if folder.resolve() not in (target, *target.parents) or not (member.isfile() or member.isdir()):
                raise UserError(f"{path} holds {member.name!r}, which is not a plain file inside the archive.")
            if member.isfile():
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.extractfile(member) as source, open(target, "wb") as copy:
                    shutil.copyfileobj(source, copy)
        check_tar_end(archive)


def _load(handle: str, folder: pathlib.Path):
    if not any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise UserError(f"`feature_extractor`: {handle} holds no saved_model.pb: it is not a SavedModel.")
    with reading(handle, "SavedModel"):
        return _tensorflow_hub().load(str(folder))


def _tensorflow_hub():
    with warnings.catch_warnings():  # Its import warns that it imports pkg_resources.
        warnings.simplefilter("ignore")
        import tensorflow_hub
    return tensorflow_hub


def _callable(handle: str, module) -> Callable:
    """The module itself, or its signature `serving_default` or (TensorFlow 1) `default`."""
    if callable(module):
        return module
    for name in ("serving_default", "default"):
        if name in module.signatures:
            signature = module.signatures[name]
            (_, inputs) = signature.structured_input_signature
            if len(inputs) != 1:
                raise UserError(f"signature {name} of {handle} takes {sorted(inputs)}, expected images alone.")
            (argument,) = inputs
            return lambda images: signature(**{argument: images})
    raise UserError(f"{handle} is neither callable nor has a signature serving_default or default.")


def _with_preprocessing(function: Callable, handle: str) -> Callable[[tf.Tensor], dict]:
    """Resizes as TF-GAN does (bilinear, half-pixel centres, no antialiasing), as the published figures were made."""

    def compute(images):
        images = tf.image.resize(tf.cast(images, tf.float32), [_INCEPTION_SIZE] * 2, "bilinear", antialias=False)
        outputs = function(images / 127.5 - 1.0)
        if not isinstance(outputs, dict):
            outputs = {_FEATURES: outputs}
        features = outputs.get(_FEATURES, next(iter(outputs.values())) if len(outputs) == 1 else None)
        if features is None:
            raise UserError(f"{handle} has the outputs {sorted(outputs)}, expected {_FEATURES!r} or a single one.")
        result = {"features": _flat(features, handle)}
        if _LOGITS in outputs:
            result["logits"] = _flat(outputs[_LOGITS], handle)
        return result

    return compute


def _flat(values: tf.Tensor, handle: str) -> tf.Tensor:
    """[N, F] or [N, 1, 1, F] -> float32 [N, F]."""
    shape = values.shape
    if shape.rank not in (2, 4) or shape[-1] is None or any(side not in (None, 1) for side in shape[1:-1]):
        raise UserError(f"{handle} gives features of shape {shape}, expected [N, F] or [N, 1, 1, F].")
    return tf.cast(tf.reshape(values, [-1, shape[-1]]), tf.float32)


def _digest(folder: pathlib.Path) -> str:
    """SHA-256 of all files below a folder, with their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = bytes.fromhex(file_sha256(path))
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()


def _slug(handle: str) -> str:
    """The last part of a handle, safe for a file name; a version number keeps the part before it."""
    parts = [part for part in re.split(r"[/\\]", re.sub(r"\?.*|\.tar\.gz$|\.tgz$", "", handle)) if part]
    parts = parts[-2:] if len(parts) > 1 and parts[-1].isdigit() else parts[-1:]
    return re.sub(r"[^A-Za-z0-9_.]+", "_", "_".join(parts))
