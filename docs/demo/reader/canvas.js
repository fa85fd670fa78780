/**
 * Canvases: any image -> the gray pixels that the network sees.
 *
 * The same arithmetic of integers as `crnn_keras/images/canvas.py`, to the last bit: Pillow's gray,
 * and Pillow's bilinear resize, across and then down.
 */

// Pillow's gray: ITU-R 601 weights as 16-bit integers.
const RED = 19595, GREEN = 38470, BLUE = 7471;
// Visible pixels that are lighter than this on average would be lost on white paper.
const LIGHT = 191;
// Pillow's resize holds its weights as integers with this many bits behind the point.
const RESIZE_BITS = 22;
/** Pixels of the canvas that make one frame of the network. */
export const PIXELS_PER_FRAME = 4;

/**
 * Converts RGBA to gray, as a viewer shows it on paper.
 *
 * What is transparent shows white paper, or black where white would hide the text.
 *
 * @param {Uint8ClampedArray} rgba Four bytes a pixel, not premultiplied.
 * @returns {Uint8Array} One byte a pixel.
 */
export function toGray(rgba) {
  const gray = new Uint8Array(rgba.length / 4);
  let brightness = 0, opacity = 0;
  for (let i = 0, at = 0; i < gray.length; i++, at += 4) {
    gray[i] = (RED * rgba[at] + GREEN * rgba[at + 1] + BLUE * rgba[at + 2] + 0x8000) >> 16;
    brightness += gray[i] * rgba[at + 3];
    opacity += rgba[at + 3];
  }
  if (opacity === 255 * gray.length) return gray;
  const paper = brightness > LIGHT * opacity ? 0 : 255;
  for (let i = 0; i < gray.length; i++) {
    const alpha = rgba[4 * i + 3];
    gray[i] = Math.floor((gray[i] * alpha + paper * (255 - alpha) + 127) / 255);
  }
  return gray;
}

/**
 * Returns where an image lies on its canvas.
 *
 * @param {{mode: string, height: number, widths: number[]}} canvas
 * @param {number} width Width of the image in pixels.
 * @param {number} height Its height.
 * @returns {{inner: number, outer: number}} The width that the image is scaled to, and the width of
 *     its canvas.
 */
export function fit(canvas, width, height) {
  const last = canvas.widths[canvas.widths.length - 1];
  if (canvas.mode === "stretch") return { inner: last, outer: last };
  const scaled = Math.max(Math.ceil(width * canvas.height / height), 1);
  const inner = Math.min(scaled, last);
  return { inner, outer: canvas.widths.find(outer => outer >= inner) };
}

/**
 * Puts a gray image on its canvas.
 *
 * @param {Uint8Array} gray
 * @param {number} width Width of the image in pixels.
 * @param {{mode: string, height: number, widths: number[]}} canvas
 * @returns {{pixels: Uint8Array, width: number, height: number}}
 */
export function toCanvas(gray, width, canvas) {
  const height = gray.length / width;
  const { inner, outer } = fit(canvas, width, height);
  const across = resize(gray, { lines: height, size: width, step: 1, jump: width }, inner);
  const down = resize(across, { lines: inner, size: height, step: inner, jump: 1 }, canvas.height);
  const pixels = new Uint8Array(canvas.height * outer);
  for (let y = 0; y < canvas.height; y++) {
    // What is right of the image is padded with its last column.
    for (let x = 0; x < outer; x++) {
      pixels[y * outer + x] = down[y * inner + Math.min(x, inner - 1)];
    }
  }
  return { pixels, width: outer, height: canvas.height };
}

/**
 * Resizes one axis by Pillow's bilinear filter, rounded to whole gray levels.
 *
 * @param {Uint8Array} pixels
 * @param {{lines: number, size: number, step: number, jump: number}} axis How many lines there are,
 *     how many pixels each has, and how far it is from pixel to pixel and from line to line.
 * @param {number} count Pixels that each line shall have.
 * @returns {Uint8Array} Lines along the same axis as before.
 */
function resize(pixels, axis, count) {
  const { lines, size, step, jump } = axis;
  if (size === count) return pixels;
  const result = new Uint8Array(lines * count);
  const isAcross = step === 1;
  weigh(size, count).forEach(({ first, weights }, place) => {
    for (let line = 0; line < lines; line++) {
      let sum = 2 ** (RESIZE_BITS - 1);
      let at = line * jump + first * step;
      for (const weight of weights) {
        sum += weight * pixels[at];
        at += step;
      }
      result[isAcross ? line * count + place : place * lines + line] = sum >> RESIZE_BITS;
    }
  });
  return result;
}

/** Returns the weights of Pillow's triangle filter for each pixel of the result, as integers. */
function weigh(size, count) {
  const scale = size / count, support = Math.max(scale, 1);
  return Array.from({ length: count }, (_, place) => {
    const center = (place + 0.5) * scale;
    const first = Math.floor(Math.max(center - support + 0.5, 0));
    const last = Math.floor(Math.min(center + support + 0.5, size));
    const weights = [];
    for (let i = first; i < last; i++) {
      weights.push(Math.max(1 - Math.abs((i - center + 0.5) / support), 0));
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const toInteger = weight => Math.floor(weight / total * 2 ** RESIZE_BITS + 0.5);
    return { first, weights: weights.map(toInteger) };
  });
}
