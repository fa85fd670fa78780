/**
 * Prefix beam search: the likeliest texts of an image, with a language model or without one.
 *
 * A hypothesis is a text that was begun. Its mass is the probability of all paths that have spelled
 * it so far; in each frame it stays, by a blank or by its last character again, or it is extended.
 * The same as `crnn_keras/model/decoding/beam.py`.
 */

import { BLANK, logLikelihood, logSum } from "./ctc.js";

// Hypotheses that are kept, and likeliest classes that each is extended by in a frame.
const WIDTH = 12, CLASSES = 8;
// The smallest logarithm of a probability in a frame.
const FAINTEST = -50;

/**
 * A text that was begun.
 *
 * @typedef {Object} Hypothesis
 * @property {number[]} ids Its classes.
 * @property {string} key What tells it from other texts.
 * @property {string} [beginning] The key of the text without its last character.
 * @property {number} afterBlank The mass of its paths that end in a blank.
 * @property {number} afterClass The mass of those that end in its last character.
 * @property {number} state The language model's context behind it.
 * @property {number} log What the language model gave to its characters, in nats.
 * @property {number} weight What that adds to its score, in nats.
 */

/**
 * Finds the likeliest texts.
 *
 * @param {number[][]} frames Log probabilities.
 * @param {?LanguageModel} languageModel
 * @returns {{ids: number[], probability: number}[]} The likeliest first. Together they have the
 *     probability of their paths; the language model decides how they share it.
 */
export function beamSearch(frames, languageModel) {
  const empty = { ids: [], key: "", afterBlank: 1, afterClass: 0, log: 0, weight: 0 };
  if (languageModel) {
    empty.state = languageModel.start;
    empty.weight = languageModel.weigh(0, 0);
  }
  let beam = [empty];
  for (const row of frames) beam = readFrame(beam, row, languageModel);
  return rank(beam, frames, languageModel);
}

/** Lets the hypotheses stay and be extended, and keeps the best. */
function readFrame(beam, row, languageModel) {
  const largest = Math.max(...row);
  const chances = row.map(log => Math.exp(Math.max(log - largest, FAINTEST)));
  const candidates = chances.map((_, id) => id).slice(BLANK + 1)
    .sort((a, b) => chances[b] - chances[a]).slice(0, CLASSES);
  const byText = new Map(beam.map(own => [own.key, own]));
  const next = beam.map(own => stay(own, chances, byText));
  for (const own of beam) {
    for (const id of candidates) {
      // If the beam has the longer text too, it has got this mass by `stay`.
      if (byText.has(keyBehind(own, id))) continue;
      const afterClass = massBefore(own, id) * chances[id];
      if (afterClass > 0) next.push(extend(own, id, afterClass, languageModel));
    }
  }
  return keepBest(next);
}

/** Returns the mass of paths from which the next frame may begin a class. */
function massBefore(hypothesis, id) {
  // The same character again needs a blank before it.
  if (id === hypothesis.ids.at(-1)) return hypothesis.afterBlank;
  return hypothesis.afterBlank + hypothesis.afterClass;
}

function stay(hypothesis, chances, byText) {
  const { afterBlank, afterClass } = hypothesis;
  const last = hypothesis.ids.at(-1) ?? BLANK;
  // A text is also reached from its beginning, if the beam has that too.
  const beginning = byText.get(hypothesis.beginning);
  const reached = beginning ? massBefore(beginning, last) : 0;
  return {
    ...hypothesis,
    afterBlank: (afterBlank + afterClass) * chances[BLANK],
    afterClass: (afterClass + reached) * chances[last],
  };
}

function extend(hypothesis, id, afterClass, languageModel) {
  const extended = {
    ...hypothesis, ids: [...hypothesis.ids, id], key: keyBehind(hypothesis, id),
    beginning: hypothesis.key, afterBlank: 0, afterClass,
  };
  if (!languageModel) return extended;
  const { log, state } = languageModel.advance(hypothesis.state, id);
  extended.state = state;
  extended.log += log;
  extended.weight = languageModel.weigh(extended.log, extended.ids.length);
  return extended;
}

function keyBehind({ key }, id) {
  return `${key},${id}`;
}

/** Keeps the hypotheses with the largest products of mass and weight, and scales their masses. */
function keepBest(hypotheses) {
  const heaviest = Math.max(...hypotheses.map(own => own.weight));
  const rankOf = own => (own.afterBlank + own.afterClass) * Math.exp(own.weight - heaviest);
  const kept = hypotheses.map(own => ({ own, rank: rankOf(own) })).filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank).slice(0, WIDTH).map(({ own }) => own);
  const largest = Math.max(...kept.flatMap(own => [own.afterBlank, own.afterClass]));
  for (const own of kept) {
    own.afterBlank /= largest;
    own.afterClass /= largest;
  }
  return kept;
}

/** Sorts the texts of a beam by their scores, and gives each its probability. */
function rank(beam, frames, languageModel) {
  const likelihoods = beam.map(own => logLikelihood(frames, own.ids));
  const total = Math.min(Math.exp(logSum(likelihoods)), 1);
  const scores = beam.map((own, index) => {
    if (!languageModel) return likelihoods[index];
    const end = own.log + languageModel.advance(own.state, BLANK).log;
    return likelihoods[index] + languageModel.weigh(end, own.ids.length, true);
  });
  const all = logSum(scores);
  return beam.map(({ ids }, index) => ({ ids, probability: Math.exp(scores[index] - all) * total }))
    .sort((a, b) => b.probability - a.probability);
}
