// Reads cases from a file, and writes what the page's modules make of them. See test_demo.py.
import fs from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, model, path] = process.argv.slice(2);
const load = name => import(pathToFileURL(`${folder}/reader/${name}.js`).href);
const [{ toCanvas, toGray }, { logSoftmax }, { LanguageModel }, { readMetadata }, { Recognizer }] =
  await Promise.all(["canvas", "ctc", "language_model", "metadata", "recognizer"].map(load));

const bytes = text => new Uint8Array(Buffer.from(text, "base64"));
const cases = JSON.parse(fs.readFileSync(path, "utf8"));
const canvases = cases.canvases.map(({ rgba, width, canvas }) => {
  const found = toCanvas(toGray(new Uint8ClampedArray(bytes(rgba))), width, canvas);
  return Buffer.from(found.pixels).toString("base64");
});

const metadata = readMetadata(new Uint8Array(fs.readFileSync(model)));
const characters = [...metadata.char_dict.characters];
const languageModel = await LanguageModel.fromConfig(metadata.language_model, characters);
const recognizer = new Recognizer(metadata, { characters, languageModel });
const decoded = cases.logits.map(logits => {
  const frames = logSoftmax(new Float32Array(bytes(logits).buffer), characters.length + 1);
  return [recognizer.decode(frames, languageModel), recognizer.decode(frames, null)];
});
console.log(JSON.stringify({ canvases, decoded }));
