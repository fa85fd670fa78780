/**
 * What an exported reader carries beside its network: char dict, canvas, calibration and language
 * model, as JSON among the `metadata_props` of the ONNX file, which is in protobuf's format.
 */

// Fields of onnx.proto: ModelProto.metadata_props, and the key and value of each of them.
const METADATA_PROPS = 14, KEY = 1, VALUE = 2;
const NAME = "crnn_keras", FORMAT = "crnn_keras.reader";

/**
 * Reads the metadata of an ONNX file.
 *
 * @param {Uint8Array} content Bytes of the file.
 * @returns {Object} What `make_metadata` of `crnn_keras/inference/onnx_recognizer.py` wrote.
 * @throws {Error} The file is no reader of crnn_keras.
 */
export function readMetadata(content) {
  const decoder = new TextDecoder();
  for (const [field, entry] of fields(content)) {
    if (field !== METADATA_PROPS) continue;
    const { [KEY]: key, [VALUE]: value } = Object.fromEntries(fields(entry));
    if (decoder.decode(key) !== NAME) continue;
    const metadata = JSON.parse(decoder.decode(value));
    if (metadata.format === FORMAT) return metadata;
  }
  throw new Error("The model is not one that crnn_keras.export_onnx wrote: it has no metadata.");
}

/** Yields `[number, bytes]` of the fields of a message that are bytes, texts or messages. */
function* fields(message) {
  let position = 0;
  /** Reads a number of seven bits a byte; the last byte is below 128. */
  const readNumber = () => {
    for (let number = 0, factor = 1; ; factor *= 128) {
      const byte = message[position++];
      if (byte === undefined) throw new Error("The model is damaged: it ends too early.");
      number += (byte & 127) * factor;
      if (byte < 128) return number;
    }
  };
  while (position < message.length) {
    const tag = readNumber(), kind = tag & 7, field = Math.floor(tag / 8);
    if (kind === 0) readNumber();
    else if (kind === 2) {
      const length = readNumber();
      yield [field, message.subarray(position, position + length)];
      position += length;
    } else throw new Error(`The model is damaged: field ${field} has the wire type ${kind}.`);
  }
}

/**
 * Unpacks bytes that were compressed.
 *
 * @param {BlobPart} packed
 * @param {"gzip"|"deflate"} format `"deflate"` is what Python's zlib writes.
 * @returns {Promise<Uint8Array>}
 */
export async function decompress(packed, format) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
