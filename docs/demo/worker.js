/** Reads images in a thread of its own, so that the page answers meanwhile. */

import * as ort from "./ort/ort.js";
import { decompress } from "./reader/metadata.js";
import { Recognizer } from "./reader/recognizer.js";

const RUNTIME = "ort/ort.wasm.gz", READER = "reader.onnx";
// As the package reads them: a larger image is no cropped word.
const MAX_PIXELS = 50_000_000;

const recognizer = load();
recognizer.then(
  () => postMessage({ isReady: true }),
  error => postMessage({ isReady: false, error: error.message }),
);

onmessage = async ({ data: { id, blob, options } }) => {
  try {
    const reader = await recognizer;
    const began = performance.now();
    const image = await decode(blob);
    const reading = await reader.read(image, options);
    postMessage({ id, reading: { ...reading, milliseconds: performance.now() - began } });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};

/** Loads the runtime and the reader. */
async function load() {
  const [packed, content] = await Promise.all([RUNTIME, READER].map(fetchBytes));
  // Some servers name the packing in a header: then the browser has unpacked it already.
  const isPacked = packed[0] === 0x1f && packed[1] === 0x8b;
  ort.env.wasm.wasmBinary = isPacked ? await decompress(packed, "gzip") : packed;
  // Several threads would need headers (COOP, COEP) that most static hosts cannot send.
  ort.env.wasm.numThreads = 1;
  return Recognizer.load(content, ort);
}

async function fetchBytes(name) {
  const answer = await fetch(name);
  if (!answer.ok) {
    throw new Error(`${name} cannot be loaded: ${answer.status}. Build the folder again.`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}

/** Decodes an image file to RGBA, upright, without its color profile. */
async function decode(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error("This is no image that the browser can decode. Choose a PNG, JPEG or WebP.");
  });
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) {
    throw new Error(`The image has ${width} x ${height} pixels. Crop it to one word.`);
  }
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}
