/** Shows what was read, and how. */

import { BLANK } from "./reader/ctc.js";
import { PIXELS_PER_FRAME } from "./reader/canvas.js";

// Never at the beginning of a line.
const PERCENT = "\u00a0%";
const BLANK_SIGN = "–", SPACE_SIGN = "␣";
// Classes that nowhere reach it are left out of the heat map.
const SHOWN = 0.1;
// Classes that are named for one frame, if they have a thousandth.
const NAMED = 3, LEAST = 0.001;
const byId = id => document.getElementById(id);

/**
 * Writes a probability: no text is certain, and few are impossible.
 *
 * @param {number} chance From 0 to 1.
 * @returns {string} In percent.
 */
export function percent(chance) {
  if (chance > 0.9995) return `over 99.9${PERCENT}`;
  if (chance < 0.0005) return `under 0.1${PERCENT}`;
  return `${(100 * chance).toFixed(1)}${PERCENT}`;
}

/**
 * Shows a reading in all parts of the page.
 *
 * @param {Reading} reading
 */
export function show(reading) {
  const signs = reading.characters.map(own => own === " " ? SPACE_SIGN : own);
  signs.unshift(BLANK_SIGN);
  showText(reading);
  showCanvas(reading);
  showHeat(reading, signs);
  showPath(reading, signs);
  showAlternatives(reading);
  byId("how").hidden = false;
}

/**
 * Marks one frame in the canvas and the heat map, and names its likeliest characters.
 *
 * @param {Reading} reading
 * @param {number} frame From 0.
 */
export function showFrame(reading, frame) {
  byId("frame").value = frame + 1;
  byId("marker").style.setProperty("--at", frame);
  const row = reading.frames[frame];
  const likeliest = row.map((_, id) => id).sort((a, b) => row[b] - row[a]).slice(0, NAMED);
  const named = likeliest.filter(id => row[id] >= LEAST).map(id => {
    const name = id === BLANK ? "blank" : `“${reading.characters[id - 1]}”`;
    return `${name} ${percent(row[id])}`;
  });
  byId("frame-text").textContent =
    `${frame + 1} of ${reading.frames.length}: ${named.join(", ")}`;
  byId("frame").setAttribute("aria-valuetext", byId("frame-text").textContent);
}

function showText({ text, confidence, canvas }) {
  byId("text").textContent = text || "(no text)";
  byId("confidence").textContent = `The text is right with a chance of ${percent(confidence)}.`;
  byId("meter").value = confidence;
  byId("canvas-text").textContent =
    `The image in gray, scaled to ${canvas.width} x ${canvas.height} pixels, shown enlarged. ` +
    `Every ${PIXELS_PER_FRAME} columns become one of ${canvas.width / PIXELS_PER_FRAME} frames.`;
}

function showCanvas({ canvas: { pixels, width, height } }) {
  const element = byId("canvas");
  Object.assign(element, { width, height });
  element.setAttribute("aria-label", `The canvas: ${width} x ${height} gray pixels`);
  const rgba = new Uint8ClampedArray(4 * pixels.length);
  pixels.forEach((gray, i) => rgba.set([gray, gray, gray, 255], 4 * i));
  element.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
}

/** Fills the table of classes by frames, in the order in which the classes are read. */
function showHeat({ frames, path }, signs) {
  byId("scroll").style.setProperty("--count", frames.length);
  byId("frame").max = frames.length;
  const column = id => frames.map(row => row[id]);
  const shown = signs.map((_, id) => id).filter(id => id && Math.max(...column(id)) > SHOWN);
  const peak = id => column(id).indexOf(Math.max(...column(id)));
  shown.sort((a, b) => peak(a) - peak(b)).push(BLANK);
  const heads = frames.map((_, frame) => frame % 5 ? "" : String(frame + 1));
  fill("#heat thead", [row("th", "", heads)]);
  fill("#heat tbody", shown.map(id => {
    const cells = row("td", signs[id], column(id).map(chance => String(Math.round(100 * chance))));
    column(id).forEach((chance, frame) => {
      const cell = cells.children[frame + 1];
      cell.style.setProperty("--chance", chance.toFixed(3));
      cell.firstChild.className = "hidden";
    });
    return cells;
  }));
  const best = row("td", "", path.classes.map(id => signs[id]));
  best.firstChild.append(made("span", "The likeliest", "hidden"));
  path.classes.forEach((id, frame) => {
    if (id === BLANK) best.children[frame + 1].className = "blank";
  });
  fill("#heat tfoot", [best]);
}

/** Returns a row of a table: its head, and its cells of one kind. */
function row(kind, head, texts) {
  const line = made("tr"), name = made("th", head);
  name.scope = "row";
  line.append(name, ...texts.map(text => {
    const cell = made(kind);
    cell.append(made("span", text));
    return cell;
  }));
  return line;
}

function showPath({ path }, signs) {
  const spell = ids => ids.map(id => made("span", signs[id], id === BLANK ? "blank" : ""));
  byId("path").replaceChildren(...spell(path.classes));
  byId("runs").replaceChildren(...spell(path.runs));
  byId("folded").textContent = path.text || "(nothing is left)";
}

function showAlternatives(reading) {
  byId("decided").textContent = explainText(reading);
  byId("calibrated").textContent = explainConfidence(reading);
  fill("#alternatives", reading.alternatives.map(({ text, chance }) => {
    const line = made("tr"), bar = made("span", "", "bar"), cell = made("td");
    bar.style.setProperty("--chance", chance);
    cell.append(bar, percent(chance));
    line.append(made("td", text || "(no text)"), cell);
    return line;
  }));
}

/** Says how the text was decided upon. */
function explainText({ text, path, rawConfidence, languageModel }) {
  const first = `All paths that spell “${path.text}” have a probability of ` +
    `${percent(path.probability)} together`;
  if (!languageModel) return `${first}. This reader has no language model.`;
  if (!languageModel.isUsed) return `${first}. The language model is not used.`;
  const least = `${Math.round(100 * languageModel.threshold)}${PERCENT}`;
  if (!languageModel.isAsked) return `${first}: the language model is asked under ${least} only.`;
  const found = text === path.text ? "keeps it" : `prefers “${text}”`;
  return `${first}, under ${least}. So a beam search collects likely texts, and the language ` +
    `model, which knows the letters of English words, ${found}, with ${percent(rawConfidence)}.`;
}

/** Says how the confidence follows from the probability. */
function explainConfidence({ rawConfidence, confidence, isCalibrated }) {
  if (!isCalibrated) return "This reader is not calibrated: the probability is its confidence.";
  return `Of texts with a probability of ${percent(rawConfidence)}, ${percent(confidence)} are ` +
    "right: this was measured on other images (calibration).";
}

function made(kind, text = "", className = "") {
  return Object.assign(document.createElement(kind), { textContent: text, className });
}

function fill(selector, children) {
  document.querySelector(selector).replaceChildren(...children);
}
