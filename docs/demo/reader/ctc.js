/**
 * CTC: what frames of probabilities spell, and how likely a text is.
 *
 * Class 0 is the blank. The same as `best_path.py`, `forward.py` and `calibration.py` of
 * `crnn_keras/model`.
 */

export const BLANK = 0;
// Confidences are float32. A value of 1 was rounded from within half of the last step below 1.
const EDGE = 2 ** -25;

/**
 * Adds numbers whose logarithms are known.
 *
 * @param {number[]} logs
 * @returns {number} The logarithm of their sum.
 */
export function logSum(logs) {
  const largest = Math.max(...logs);
  if (largest === -Infinity) return largest;
  return largest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - largest), 0));
}

/**
 * Turns logits into log probabilities, in nats.
 *
 * @param {Float32Array} logits Frame after frame.
 * @param {number} numClasses
 * @returns {number[][]} One row for each frame.
 */
export function logSoftmax(logits, numClasses) {
  const rows = [];
  for (let start = 0; start < logits.length; start += numClasses) {
    const row = Array.from(logits.subarray(start, start + numClasses));
    const total = logSum(row);
    rows.push(row.map(logit => logit - total));
  }
  return rows;
}

/**
 * Decodes the best path: the likeliest class of each frame, repeats merged, blanks removed.
 *
 * @param {number[][]} frames Log probabilities.
 * @returns {{classes: number[], runs: number[], ids: number[]}} The class of each frame, of each
 *     run of equal frames, and of each character of the text.
 */
export function bestPath(frames) {
  const classes = frames.map(row => row.indexOf(Math.max(...row)));
  const runs = classes.filter((own, frame) => own !== classes[frame - 1]);
  return { classes, runs, ids: runs.filter(own => own !== BLANK) };
}

/**
 * Computes how likely a text is: the sum over all paths of CTC that spell it.
 *
 * @param {number[][]} frames Log probabilities.
 * @param {number[]} ids The text's classes.
 * @returns {number} The log likelihood, in nats.
 */
export function logLikelihood(frames, ids) {
  // State 2 * i is the blank before character i, state 2 * i + 1 the character.
  const states = [BLANK, ...ids.flatMap(id => [id, BLANK])];
  // From one character straight to the next a path goes unless they are equal.
  const maySkip = states.map((own, state) => own !== BLANK && own !== states[state - 2]);
  // What the paths to each state have of the sum of all, whose logarithm is kept beside them.
  let paths = new Float64Array(states.length), log = 0;
  paths[0] = 1;
  for (const row of frames) {
    const next = new Float64Array(states.length);
    let total = 0;
    for (let state = 0; state < states.length; state++) {
      let arrived = paths[state];
      if (state > 0) arrived += paths[state - 1];
      if (state > 1 && maySkip[state]) arrived += paths[state - 2];
      next[state] = arrived * Math.exp(row[states[state]]);
      total += next[state];
    }
    paths = next.map(own => own / total);
    log += Math.log(total);
  }
  return log + Math.log(paths.at(-1) + (paths.at(-2) ?? 0));
}

/**
 * Maps a raw confidence to the chance that the whole text is correct.
 *
 * @param {number} confidence From 0 to 1.
 * @param {{slope: number, offset: number}} [calibration] Without one the confidence is returned.
 * @returns {number}
 */
export function calibrate(confidence, calibration) {
  if (!calibration) return confidence;
  const clipped = Math.min(Math.max(confidence, EDGE), 1 - EDGE);
  const logOdds = Math.log(clipped) - Math.log1p(-clipped);
  return 1 / (1 + Math.exp(-(calibration.slope * logOdds + calibration.offset)));
}
