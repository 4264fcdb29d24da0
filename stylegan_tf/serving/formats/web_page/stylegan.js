/* A StyleGAN generator in the browser: seeds, styles, pictures. No dependencies but the runtime that it is given.
 *
 * Latents of seeds are those of NumPy's `RandomState(seed).randn(1, size)`, so that a seed is the same picture here, in
 * `generate --seeds` and on a server. Array shapes are given as in NumPy: z [Z], w [L, W].
 */
"use strict";

/** MT19937 (Matsumoto and Nishimura, 1998). */
class MersenneTwister {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.index = 624;
    this.state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const previous = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(previous, 1812433253) + i;
    }
  }

  /** The next 32 bits. */
  word() {
    if (this.index === 624) this.twist();
    let y = this.state[this.index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** A fraction in [0, 1) of 53 bits. */
  fraction() {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  twist() {
    const state = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.index = 0;
  }
}

/** z of a seed, 0 to 2^32 - 1: Float32Array [size], by Marsaglia's polar method. */
function latentsOfSeed(seed, size) {
  const random = new MersenneTwister(seed);
  const z = new Float32Array(size);
  for (let i = 0; i < size; i += 2) {
    let x, y, radius;
    do {
      x = 2 * random.fraction() - 1;
      y = 2 * random.fraction() - 1;
      radius = x * x + y * y;
    } while (radius >= 1 || radius === 0);
    const scale = Math.sqrt((-2 * Math.log(radius)) / radius);
    z[i] = scale * y; // NumPy returns the second of each pair first.
    if (i + 1 < size) z[i + 1] = scale * x;
  }
  return z;
}

/** Spherical interpolation between latents; t from 0 to 1. Their lengths are also interpolated. */
function slerp(a, b, t) {
  const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  const [lengthA, lengthB] = [length(a), length(b)];
  const cosine = a.reduce((sum, x, i) => sum + x * b[i], 0) / (lengthA * lengthB);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (angle < 1e-4) return a.map((x, i) => x + (b[i] - x) * t);
  const [p, q] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  const scale = lengthA + (lengthB - lengthA) * t;
  return a.map((x, i) => scale * ((p * x) / lengthA + (q * b[i]) / lengthB));
}

/** The truncation trick: w [L, W] drawn towards `centre` [W] in the first `cutoff` layers (null: all). */
function truncate(w, psi, centre, cutoff) {
  const end = cutoff === null ? w.length : Math.min(w.length, cutoff * centre.length);
  return w.map((x, i) => (i < end ? centre[i % centre.length] + psi * (x - centre[i % centre.length]) : x));
}

/** Style mixing: layers `from` to `to` (exclusive) of w [L, W] from `other`. */
function mix(w, other, from, to, width) {
  return w.map((x, i) => (i >= from * width && i < to * width ? other[i] : x));
}

/** The generator: facts about it, and its two halves as sessions of onnxruntime-web. */
class Generator {
  /** runtime: the module onnxruntime-web; model: {facts, mapping, synthesis}, the last two as bytes of ONNX files. */
  static async open(runtime, model) {
    const generator = new Generator();
    generator.facts = model.facts;
    generator.tensor = (data, shape) => new runtime.Tensor("float32", data, shape);
    generator.mapping = await runtime.InferenceSession.create(model.mapping);
    generator.synthesis = await runtime.InferenceSession.create(model.synthesis);
    generator.pending = Promise.resolve();
    return generator;
  }

  /** z [Z], label (an index) -> w [L, W], truncated. */
  async styles(z, psi, label = 0) {
    const { latent_size, label_size, truncation_cutoff, centres } = this.facts;
    const inputs = { latents: this.tensor(z, [1, latent_size]) };
    if (label_size) {
      const labels = new Float32Array(label_size);
      labels[label] = 1;
      inputs.labels = this.tensor(labels, [1, label_size]);
    }
    const { dlatents } = await this.run(this.mapping, inputs);
    if (!centres.length) return dlatents.data; // The traditional generator has no truncation.
    return truncate(dlatents.data, psi, centres[label % centres.length], truncation_cutoff);
  }

  /** w [L, W] -> {width, height, channels, data: Uint8Array [H, W, C]}. */
  async picture(w) {
    const { num_layers, w_size } = this.facts;
    const { images } = await this.run(this.synthesis, { dlatents: this.tensor(w, [1, num_layers, w_size]) });
    const [, height, width, channels] = images.dims;
    return { width, height, channels, data: images.data };
  }

  stylesOfSeed(seed, psi, label) {
    return this.styles(latentsOfSeed(seed, this.facts.latent_size), psi, label);
  }

  /** One run after the other: the runtime has one thread. */
  run(session, inputs) {
    const result = this.pending.then(() => session.run(inputs));
    this.pending = result.catch(() => {});
    return result;
  }
}

/** A picture of 1, 3 or 4 channels as RGBA. */
function asRgba({ width, height, channels, data }) {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 4; c++) {
      if (channels >= 3 ? c < channels : c < 3) rgba[4 * i + c] = data[channels * i + (channels >= 3 ? c : 0)];
    }
  }
  return rgba;
}

/** The name of a picture's file: seed7.png only for what `generate --seeds 7` draws at the default psi. */
function fileName({ seed, other, psi, label, crossover, mixing }, { label_size, centres, default_truncation_psi }) {
  const parts = [`seed${seed}`];
  if (label_size) parts.push(`class${label}`);
  if (centres.length && psi !== default_truncation_psi) parts.push(`psi${psi}`);
  if (mixing) parts.push(`mix${other}-from${crossover}`);
  return `${parts.join("-")}.png`;
}

if (typeof module !== "undefined") module.exports = { MersenneTwister, latentsOfSeed, slerp, truncate, mix, asRgba, fileName };
