"""SavedModels with the interface of TF-GAN's Inception, small enough to be made in a test."""

import tarfile

import numpy as np
import tensorflow as tf

WIDTH, CLASSES = 12, 5


def weights(seed=0):
    """float32 [48, WIDTH], [WIDTH, CLASSES]."""
    random = np.random.RandomState(seed)
    return random.randn(48, WIDTH).astype(np.float32), random.randn(WIDTH, CLASSES).astype(np.float32)


class Module(tf.Module):
    """Mean of each of 4x4 cells -> linear, squashed: {"pool_3": [N, 1, 1, WIDTH], "logits": [N, CLASSES]}."""

    def __init__(self, seed=0, outputs=("pool_3", "logits")):
        super().__init__()
        self.kernel, self.classifier = (tf.Variable(value) for value in weights(seed))
        self.outputs = outputs

    @tf.function(input_signature=[tf.TensorSpec([None, 299, 299, 3])])
    def __call__(self, images):
        cells = tf.image.resize(images, [4, 4], "area")
        features = tf.tanh(tf.reshape(cells, [-1, 48]) @ self.kernel)
        outputs = {"pool_3": features[:, None, None], "logits": features @ self.classifier}
        if len(self.outputs) == 1:
            return outputs[self.outputs[0]][:, 0, 0]
        return {name: outputs[name] for name in self.outputs}


def save_module(folder, seed=0, outputs=("pool_3", "logits"), signature=True):
    module = Module(seed, outputs)
    tf.saved_model.save(module, str(folder), signatures=module.__call__ if signature and len(outputs) > 1 else None)
    return folder


def pack(folder, archive):
    """The .tar.gz that TF-Hub serves: the folder's content at the top."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    return archive
