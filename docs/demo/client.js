/** The reader as the page sees it: promises of what the worker answers. */

/** Reads images in a worker. */
export class ReaderClient {
  constructor() {
    this.waiting = new Map();
    this.count = 0;
    this.worker = new Worker("worker.js", { type: "module" });
    /** Settles when the reader is loaded. @type {Promise<void>} */
    this.ready = new Promise((resolve, reject) => {
      this.worker.onerror = () => reject(new Error("The reader's files cannot be loaded."));
      this.worker.onmessage = ({ data }) => {
        if (data.id !== undefined) this.settle(data);
        else if (data.isReady) resolve();
        else reject(new Error(data.error));
      };
    });
  }

  /**
   * Reads one image.
   *
   * @param {Blob} blob An image file.
   * @param {{useLanguageModel?: boolean}} [options]
   * @returns {Promise<Reading>} See `reader/recognizer.js`, and `milliseconds`.
   */
  read(blob, { useLanguageModel = true } = {}) {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, blob, options: { useLanguageModel } });
    });
  }

  settle({ id, reading, error }) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) resolve(reading);
    else reject(new Error(error));
  }
}
