/** The service worker that keeps the page for use without a network. */

/**
 * Registers it, and waits until it answers for this page: then every file is fetched once only.
 *
 * @param {(takeOver: () => void) => void} onUpdate Called when a newer version of the page is kept;
 *     its argument is a function that changes to it.
 * @returns {Promise<boolean>} Whether the page works without a network from now on.
 */
export async function keepOffline(onUpdate) {
  // There is none where the page was not loaded by https or from this machine.
  const container = navigator.serviceWorker;
  if (!container) return false;
  try {
    const isFirst = !container.controller;
    const registration = await container.register("sw.js");
    watch(registration, onUpdate);
    if (isFirst && !registration.active) await isClaimed(container, registration);
    return true;
  } catch {
    return false;
  }
}

/** Settles when the new service worker answers for this page. */
function isClaimed(container, registration) {
  return new Promise((resolve, reject) => {
    container.addEventListener("controllerchange", resolve, { once: true });
    const worker = registration.installing ?? registration.waiting;
    worker?.addEventListener("statechange", () => {
      if (worker.state === "redundant") reject(new Error("Not all files can be kept."));
    });
  });
}

/** Calls back when another version waits to take over. */
function watch(registration, onUpdate) {
  const takeOver = () => {
    const reload = () => location.reload();
    navigator.serviceWorker.addEventListener("controllerchange", reload, { once: true });
    registration.waiting.postMessage("take over");
  };
  if (registration.waiting && registration.active) onUpdate(takeOver);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker.addEventListener("statechange", () => {
      if (worker.state === "installed" && registration.active) onUpdate(takeOver);
    });
  });
}
