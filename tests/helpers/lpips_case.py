"""Random weights of VGG16 and of the heads, and image pairs, in the order in which the frozen distances had them."""

import numpy as np

CHANNELS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # In torchvision's `features`.


def weights(random):
    """(VGG16's, the heads') by their names in PyTorch."""
    vgg16, inputs = {}, 3
    for index, outputs in zip(INDICES, CHANNELS):
        scale = np.sqrt(2 / (9 * inputs))
        vgg16[f"features.{index}.weight"] = (random.randn(outputs, inputs, 3, 3) * scale).astype(np.float32)
        vgg16[f"features.{index}.bias"] = (random.randn(outputs) * 0.1).astype(np.float32)
        inputs = outputs
    heads = {}
    for index, channels in enumerate((64, 128, 256, 512, 512)):
        heads[f"lin{index}.model.1.weight"] = random.uniform(size=(1, channels, 1, 1)).astype(np.float32)
    return vgg16, heads


def image_pairs(random, height, width):
    """Noise, equal images, images that differ by a thousandth, black and white: two of [4, height, width, 3]."""
    first, second = (random.uniform(-1, 1, (4, height, width, 3)).astype(np.float32) for _ in range(2))
    second[1] = first[1]
    second[2] = first[2] + np.float32(1e-3) * second[2]
    first[3], second[3] = -1, 1
    return first, second
