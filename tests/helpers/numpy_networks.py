"""Both networks in NumPy float64, written from the paper's equations as plainly as possible: slow and independent.

Weights come as a dictionary of arrays by the names of `named_variables`.
"""

import numpy as np

from stylegan_tf.networks.keras_model import named_variables

SQRT_2 = np.sqrt(2)


def randomize(network, seed=0):
    """Gives every variable random values, so that no path is zero; returns them as float64 by name."""
    rng, values = np.random.RandomState(seed), {}
    for name, variable in named_variables(network).items():
        stddev = 100 if name.startswith("mapping/dense") else 1  # 1 / lrmul.
        values[name] = (stddev * rng.randn(*variable.shape)).astype(np.float32).astype(np.float64)
        variable.assign(values[name].astype(np.float32))
    return values


def leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x)


def pixel_norm(x):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-8)


def instance_norm(x):
    mean, variance = x.mean(axis=(1, 2), keepdims=True), x.var(axis=(1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-8)


def dense(x, weight, gain=SQRT_2):
    return x @ weight * gain / np.sqrt(len(weight))


def conv(x, weight, gain=SQRT_2):
    """Stride 1, zeros beyond the border: x [N, H, W, I], weight [k, k, I, O]."""
    size, _, inputs, outputs = weight.shape
    _, height, width, _ = x.shape
    margin = size // 2
    padded = np.pad(x, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    y = np.zeros([len(x), height, width, outputs])
    for row in range(size):
        for column in range(size):
            y += padded[:, row : row + height, column : column + width] @ weight[row, column]
    return y * gain / np.sqrt(size * size * inputs)


def upscale(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def downscale(x):
    return (x[:, ::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, ::2] + x[:, 1::2, 1::2]) / 4


def blur(x):
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4


def minibatch_stddev(x, group_size):
    """Appends the channel; members of a group are N / G apart."""
    group = min(group_size, len(x))
    channel = np.zeros((*x.shape[:3], 1))
    for first in range(len(x) // group):
        members = slice(first, None, len(x) // group)
        channel[members] = np.mean(np.sqrt(x[members].var(axis=0) + 1e-8))
    return np.concatenate([x, channel], axis=-1)


def mapping(config, v, z, labels=None):
    x = z
    if config.label_size:
        embedded = labels @ v["mapping/label_embedding/weight"] if config.embed_labels else labels
        x = np.concatenate([z, embedded], axis=1)
    if config.normalize_latents:
        x = pixel_norm(x)
    for index in range(config.mapping_layers):
        weight, bias = v[f"mapping/dense{index}/weight"], v[f"mapping/dense{index}/bias"]
        x = leaky_relu(config.mapping_lrmul * (dense(x, weight) + bias))
    return x


def synthesis(config, v, ws, resolution=None, alpha=1.0, use_noise=True):
    """Images [N, r, r, C] with the fixed noise maps; ws [N, L, W]."""
    v = {name[len("synthesis/") :]: value for name, value in v.items() if name.startswith("synthesis/")}
    resolution = resolution or config.resolution
    layers = ["4x4/const" if config.const_input else "4x4/dense", "4x4/conv"]
    size = 8
    while size <= resolution:
        layers += [f"{size}x{size}/conv0_up", f"{size}x{size}/conv1"]
        size *= 2
    x, rgb = None, []
    for index, layer in enumerate(layers):
        if layer.endswith("/const"):
            x = np.tile(v["4x4/const/const"], [len(ws), 1, 1, 1])
        elif layer.endswith("/dense"):
            x = dense(ws[:, 0], v["4x4/dense/weight"], gain=SQRT_2 / 4)
            x = x.reshape(len(ws), -1, 4, 4).transpose(0, 2, 3, 1)
        elif layer.endswith("_up"):
            x = conv(upscale(x), v[f"{layer}/weight"])
            x = blur(x) if config.blur else x
        else:
            x = conv(x, v[f"{layer}/weight"])
        if config.use_noise and use_noise:
            x = x + v[f"{layer}/noise/strength"] * v[f"{layer}/noise/map"]
        x = leaky_relu(x + v[f"{layer}/bias"])
        x = pixel_norm(x) if config.use_pixel_norm else x
        x = instance_norm(x) if config.use_instance_norm else x
        if config.use_styles:
            style = dense(ws[:, index], v[f"{layer}/style/weight"], gain=1) + v[f"{layer}/style/bias"]
            scale, offset = np.split(style[:, None, None, :], 2, axis=-1)
            x = x * (scale + 1) + offset
        if index % 2:
            level = layer.split("/")[0]
            rgb.append(conv(x, v[f"{level}/to_rgb/weight"], gain=1) + v[f"{level}/to_rgb/bias"])
    if alpha == 1 or len(rgb) == 1:
        return rgb[-1]
    return alpha * rgb[-1] + (1 - alpha) * upscale(rgb[-2])


def discriminator(config, v, images, labels=None, alpha=1.0):
    """Scores [N] of images [N, r, r, C]."""

    def layer(x, name):
        return leaky_relu(conv(x, v[f"{name}/weight"]) + v[f"{name}/bias"])

    size = images.shape[1]
    x = layer(images, f"{size}x{size}/from_rgb")
    faded_in = alpha == 1
    while size > 4:
        x = layer(x, f"{size}x{size}/conv0")
        x = conv(blur(x) if config.blur else x, v[f"{size}x{size}/conv1_down/weight"])
        x = leaky_relu(downscale(x) + v[f"{size}x{size}/conv1_down/bias"])
        size //= 2
        if not faded_in:
            x = alpha * x + (1 - alpha) * layer(downscale(images), f"{size}x{size}/from_rgb")
            faded_in = True
    if config.mbstd_group_size:
        x = minibatch_stddev(x, config.mbstd_group_size)
    x = layer(x, "4x4/conv")
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    x = leaky_relu(dense(x, v["4x4/dense0/weight"]) + v["4x4/dense0/bias"])
    x = dense(x, v["4x4/dense1/weight"], gain=1) + v["4x4/dense1/bias"]
    if config.label_size and config.use_labels:
        return np.sum(x * labels, axis=1)
    return x[:, 0]
