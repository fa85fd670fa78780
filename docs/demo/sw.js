/**
 * Keeps every file of the page, so that it reads without a network, and asks no other host.
 *
 * `tools/demo.py` fills in the version, a hash of all files, and their names.
 */

const VERSION = "@VERSION@";
const FILES = ["@FILES@"];
// Other pages of this host keep theirs.
const PREFIX = `crnn_keras demo ${self.registration.scope} `;
const CACHE = PREFIX + VERSION;

self.addEventListener("install", event => {
  // Past the browser's own cache, which may hold files of another version.
  const requests = FILES.map(name => new Request(name, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(requests)));
});

self.addEventListener("activate", event => {
  event.waitUntil(removeOthers().then(() => self.clients.claim()));
});

self.addEventListener("message", ({ data }) => {
  if (data === "take over") self.skipWaiting();
});

self.addEventListener("fetch", event => event.respondWith(answer(event.request)));

/** Removes what earlier versions kept. */
async function removeOthers() {
  const names = await caches.keys();
  const others = names.filter(name => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(others.map(name => caches.delete(name)));
}

async function answer(request) {
  if (new URL(request.url).origin !== self.location.origin) return Response.error();
  const cache = await caches.open(CACHE);
  return await cache.match(request, { ignoreSearch: true }) ?? fetch(request);
}
