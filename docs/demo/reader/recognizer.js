/**
 * From the pixels of an image to its text, with everything on the way that a person may look at.
 *
 * The same texts and confidences as `crnn_keras.OnnxRecognizer`.
 */

import { beamSearch } from "./beam.js";
import { bestPath, calibrate, logLikelihood, logSoftmax } from "./ctc.js";
import { toCanvas, toGray } from "./canvas.js";
import { LanguageModel } from "./language_model.js";
import { readMetadata } from "./metadata.js";

const INPUT = "canvases", OUTPUT = "logits";
const ALTERNATIVES = 4;

/**
 * What was read in one image.
 *
 * @typedef {Object} Reading
 * @property {string} text
 * @property {number} confidence The chance that the whole text is correct, from 0 to 1.
 * @property {number} rawConfidence The probability of all paths that spell it, or what the language
 *     model makes of it.
 * @property {boolean} isCalibrated Whether the confidence differs from the raw one.
 * @property {{pixels: Uint8Array, width: number, height: number}} canvas What the network saw.
 * @property {number[][]} frames The probabilities of the classes in each frame; 0 is the blank.
 * @property {string[]} characters Those of the classes from 1 on.
 * @property {{classes: number[], runs: number[], text: string, probability: number}} path The best
 *     path, the text that it spells, and the probability of all paths that spell this text.
 * @property {{text: string, chance: number}[]} alternatives The likeliest texts.
 * @property {{threshold: number, isUsed: boolean, isAsked: boolean}} [languageModel] The probability
 *     under which it is asked, whether it was to be used, and whether it was asked.
 */

/** Reads images with an ONNX file that crnn_keras exported. */
export class Recognizer {
  /**
   * Opens a reader.
   *
   * @param {Uint8Array} content Bytes of the ONNX file.
   * @param {Object} ort The module of ONNX Runtime Web.
   * @returns {Promise<Recognizer>}
   */
  static async load(content, ort) {
    const metadata = readMetadata(content);
    const characters = [...metadata.char_dict.characters];
    const config = metadata.language_model;
    const languageModel =
      config && config.settings.weight ? await LanguageModel.fromConfig(config, characters) : null;
    const session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
    return new Recognizer(metadata, { characters, languageModel, session, Tensor: ort.Tensor });
  }

  constructor(metadata, { characters, languageModel, session, Tensor }) {
    this.canvas = metadata.canvas;
    this.calibration = metadata.calibration;
    Object.assign(this, { characters, languageModel, session, Tensor });
  }

  /**
   * Reads one image.
   *
   * @param {{data: Uint8ClampedArray, width: number, height: number}} image RGBA.
   * @param {{useLanguageModel: boolean}} options
   * @returns {Promise<Reading>}
   */
  async read(image, { useLanguageModel }) {
    const canvas = toCanvas(toGray(image.data), image.width, this.canvas);
    const logits = await this.predictLogits(canvas);
    const frames = logSoftmax(logits, this.characters.length + 1);
    return {
      ...this.decode(frames, useLanguageModel ? this.languageModel : null),
      canvas,
      frames: frames.map(row => row.map(Math.exp)),
      characters: this.characters,
    };
  }

  /** Runs the network on one canvas. */
  async predictLogits({ pixels, width, height }) {
    const input = new this.Tensor("uint8", pixels, [1, height, width, 1]);
    const { [OUTPUT]: logits } = await this.session.run({ [INPUT]: input });
    return logits.data;
  }

  /** Decodes log probabilities: the text, its confidences and the likeliest texts. */
  decode(frames, languageModel) {
    const { classes, runs, ids } = bestPath(frames);
    const probability = Math.min(Math.exp(logLikelihood(frames, ids)), 1);
    // Where the image shows no text, a language model would see one.
    const isAsked =
      languageModel !== null && probability < languageModel.settings.threshold && ids.length > 0;
    const found = beamSearch(frames, isAsked ? languageModel : null).slice(0, ALTERNATIVES);
    const best = isAsked ? found[0] : { ids, probability };
    return {
      text: this.spell(best.ids),
      confidence: calibrate(best.probability, this.calibration),
      rawConfidence: best.probability,
      isCalibrated: this.calibration !== undefined,
      path: { classes, runs, text: this.spell(ids), probability },
      alternatives: this.shareOut(found),
      languageModel: this.languageModel && {
        threshold: this.languageModel.settings.threshold, isUsed: languageModel !== null, isAsked,
      },
    };
  }

  /** Gives the likeliest texts their chances: the others share what the first one leaves. */
  shareOut(found) {
    const raw = found[0].probability, chance = calibrate(raw, this.calibration);
    const share = raw < 1 ? (1 - chance) / (1 - raw) : 0;
    return found.map(({ ids, probability }, index) => ({
      text: this.spell(ids), chance: index ? Math.min(share * probability, chance) : chance,
    }));
  }

  spell(ids) {
    return ids.map(id => this.characters[id - 1]).join("");
  }
}
