/** The page: takes an image in whatever way it comes, and shows what the worker reads. */

import { ReaderClient } from "./client.js";
import { keepOffline } from "./offline.js";
import { percent, show, showFrame } from "./view.js";

const byId = id => document.getElementById(id);
/** The image that is shown, its reading, and how many images were chosen before. */
const state = { blob: null, reading: null, count: 0 };
/** Settles with the reader when it is loaded. @type {Promise<ReaderClient>} */
const loaded = load();

listen();
start();

/** Loads the reader, with every file of the page kept on the way. */
async function load() {
  const isKept = await keepOffline(offerUpdate);
  const reader = new ReaderClient();
  await reader.ready;
  byId("offline").textContent = isKept
    ? "The page is kept in this browser: it reads without a network too."
    : "This browser does not keep the page: it needs its network at the next visit.";
  return reader;
}

/** Reads the first example, so that there is something to look at. */
async function start() {
  try {
    await loaded;
    const examples = await (await fetch("examples/list.json")).json();
    byId("examples").append(...examples.map(makeExample));
    if (!state.count) byId("examples").querySelector("button").click();
  } catch (error) {
    complain(error);
    byId("status").textContent = "The reader is not loaded.";
  }
}

function listen() {
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files.length) read(target.files[0]);
    target.value = "";
  });
  addEventListener("paste", ({ clipboardData }) => readFirst(clipboardData));
  addEventListener("dragover", event => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
  addEventListener("dragleave", () => byId("drop").classList.remove("over"));
  addEventListener("drop", event => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    readFirst(event.dataTransfer);
  });
  byId("language-model").addEventListener("change", () => state.blob && read(state.blob, true));
  byId("frame").addEventListener("input", ({ target }) => pick(target.value - 1));
  byId("heat").addEventListener("pointermove", ({ target }) => {
    const cell = target.closest("tbody td, tfoot td");
    if (cell) pick(cell.cellIndex - 1);
  });
}

/** Reads the first file of what was dropped or pasted. */
function readFirst(transfer) {
  if (transfer.files.length) read(transfer.files[0]);
  else complain(new Error("There is no image in it. Copy an image, or drop a file."));
}

function makeExample({ file, text }) {
  const item = document.createElement("li"), button = document.createElement("button");
  const image = Object.assign(new Image(), { src: `examples/${file}`, alt: `Example: ${text}` });
  button.type = "button";
  button.append(image);
  button.addEventListener("click", async () => {
    await read(await (await fetch(image.src)).blob());
    press(button);
  });
  item.append(button);
  return item;
}

/** Shows which example is the image, or that none is. */
function press(button) {
  for (const other of byId("examples").querySelectorAll("button")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
}

/** Reads an image and shows it, unless another one was chosen meanwhile. */
async function read(blob, isSame = false) {
  const own = ++state.count;
  byId("alert").hidden = true;
  try {
    const reader = await loaded;
    const reading = await reader.read(blob, { useLanguageModel: byId("language-model").checked });
    if (own !== state.count) return;
    Object.assign(state, { blob, reading });
    if (!isSame) showImage(blob);
    show(reading);
    pick(isSame ? byId("frame").value - 1 : reading.path.classes.findIndex(id => id > 0));
    byId("switch").hidden = !reading.languageModel;
    byId("status").textContent =
      `Read “${reading.text}”, ${percent(reading.confidence)} sure, ` +
      `in ${Math.round(reading.milliseconds)} ms.`;
  } catch (error) {
    if (own === state.count) complain(error);
  }
}

function pick(frame) {
  if (state.reading) showFrame(state.reading, Math.max(frame, 0));
}

function showImage(blob) {
  const image = byId("image");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  image.hidden = false;
  press(null);
}

function complain(error) {
  byId("alert").textContent = error.message;
  byId("alert").hidden = false;
}

function offerUpdate(takeOver) {
  byId("update").hidden = false;
  byId("take-over").addEventListener("click", takeOver, { once: true });
}
