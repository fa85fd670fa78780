/**
 * An n-gram model of characters: how likely each character is after the ones before it.
 *
 * The same lookups as `crnn_keras/model/decoding/language_model.py` and `trie.py`. The n-grams are
 * the nodes of a trie, level by level; children of a node stand side by side, in the order of their
 * symbols. Symbol 0 is the boundary before and behind a text.
 */

import { decompress } from "./metadata.js";
import { logSum } from "./ctc.js";

const BOUNDARY = 0;
// Stored logarithms are quarters of a nat.
const STEPS = 4, LARGEST_BACKOFF = 2;
// The part of the probability that all characters share evenly, that of the characters which the
// model does not know (at most), and the part of texts that are codes rather than of the language.
const FLOOR = 0.03, UNKNOWN = 0.25, CODE = 0.9;

/** A language model over the classes of a reader. */
export class LanguageModel {
  /**
   * Unpacks a language model.
   *
   * @param {Object} config What `LanguageModel.get_config` gave.
   * @param {string[]} characters Those of the reader's char dict.
   * @returns {Promise<LanguageModel>}
   */
  static async fromConfig(config, characters) {
    const packed = Uint8Array.from(atob(config.ngrams), letter => letter.charCodeAt(0));
    return new LanguageModel(config, characters, await decompress(packed, "deflate"));
  }

  constructor(config, characters, ngrams) {
    /** @type {{weight: number, length_bonus: number, threshold: number}} */
    this.settings = config.settings;
    this.unpack(ngrams);
    this.link();
    /** The state before the first character. */
    this.start = this.contexts[1 + BOUNDARY];
    this.bind(config.characters, characters);
  }

  /** Reads the four arrays that stand one behind the other. */
  unpack(ngrams) {
    const count = ngrams.length / 6;
    // The bytes of numbers are in the order of x86 and ARM, as of every machine with a browser.
    this.symbols = new Uint16Array(ngrams.buffer, ngrams.byteOffset, count);
    this.childCounts = new Uint16Array(ngrams.buffer, ngrams.byteOffset + 2 * count, count);
    this.costs = ngrams.subarray(4 * count, 5 * count);
    this.backoffs = ngrams.subarray(5 * count);
  }

  /** Finds for each node its first child, its longest suffix, and the context that it leads to. */
  link() {
    const count = this.symbols.length;
    this.firstChildren = new Uint32Array(count + 1);
    this.suffixes = new Uint32Array(count);
    this.contexts = new Uint32Array(count);
    let child = 1;
    for (let node = 0; node < count; node++) {
      this.firstChildren[node] = child;
      child += this.childCounts[node];
    }
    this.firstChildren[count] = child;
    // A suffix is shorter than its n-gram, so that it stands before it.
    for (let node = 0; node < count; node++) {
      const end = this.firstChildren[node + 1];
      for (let own = this.firstChildren[node]; own < end; own++) {
        if (node) this.suffixes[own] = this.find(this.suffixes[node], this.symbols[own]).node;
      }
      this.contexts[node] = this.childCounts[node] ? node : this.contexts[this.suffixes[node]];
    }
  }

  /** Gives each class of the reader its symbol, and its share of the symbol's probability. */
  bind(known, characters) {
    const numClasses = characters.length + 1;
    const symbolOf = new Map(known.map((character, index) => [character, index + 1]));
    this.classes = [BOUNDARY, ...characters.map(own => symbolOf.get(fold(own)) ?? -1)];
    const counts = new Map();
    for (const symbol of this.classes) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    const unknown = counts.get(-1) ?? 0;
    const left = Math.min(Math.max(unknown, 1) / numClasses, UNKNOWN);
    const share = (1 - FLOOR) * (1 - (unknown ? left : 0));
    this.shares = this.classes.map(symbol => symbol < 0 ? 0 : share / counts.get(symbol));
    this.evenly = this.classes.map(symbol => symbol < 0 ? left / unknown : FLOOR / numClasses);
    this.logClasses = Math.log(numClasses);
  }

  /**
   * Looks up how likely a class is next.
   *
   * @param {number} state The context.
   * @param {number} id The class; 0 is the end of the text.
   * @returns {{log: number, state: number}} Its log probability in nats, and the state behind it.
   */
  advance(state, id) {
    const symbol = this.classes[id];
    // Behind a character that the model does not know there is no context: the root.
    if (symbol < 0) return { log: Math.log(this.evenly[id]), state: 0 };
    const { node, backoff } = this.find(state, symbol);
    // What is nearly certain may exceed 1 by the rounding.
    const log = Math.min(backoff - this.costs[node] / STEPS, 0);
    const chance = Math.exp(log) * this.shares[id] + this.evenly[id];
    return { log: Math.log(chance), state: this.contexts[node] };
  }

  /**
   * Computes what the language model adds to the score of a text, in nats.
   *
   * @param {number} log The sum of what `advance` gave.
   * @param {number} length Number of characters.
   * @param {boolean} [isEnded] Whether the text's end is in the sum.
   * @returns {number}
   */
  weigh(log, length, isEnded = false) {
    const even = Math.log(CODE) - this.logClasses * (length + Number(isEnded));
    const mixed = logSum([Math.log(1 - CODE) + log, even]);
    return this.settings.weight * mixed + this.settings.length_bonus * length;
  }

  /** Finds the longest counted n-gram of a context and the next symbol, by ever shorter ones. */
  find(context, symbol) {
    let backoff = 0;
    // It ends at the root, which has all symbols.
    for (let node = context; ; node = this.suffixes[node]) {
      const child = this.findChild(node, symbol);
      if (child) return { node: child, backoff };
      backoff += LARGEST_BACKOFF - this.backoffs[node] / STEPS;
    }
  }

  /** Finds the child of a node with a symbol, by bisection; 0: there is none. */
  findChild(node, symbol) {
    const end = this.firstChildren[node] + this.childCounts[node];
    let low = this.firstChildren[node], high = end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.symbols[middle] < symbol) low = middle + 1;
      else high = middle;
    }
    return low < end && this.symbols[low] === symbol ? low : 0;
  }
}

/** Returns what counts as the same character for a language model. */
function fold(character) {
  return "0123456789".includes(character) ? "0" : character.toLowerCase();
}
