// Keeps the page that counts, so that it opens again without network. It keeps nothing else.
// @ts-check

/** @param {any} event */
const answer = (event) => {
  const { request } = event;
  if (request.method !== "GET" || request.headers.has("console-part")) return;
  event.respondWith(newest(request));
};

/**
 * Asks the server; without network, answers what was kept.
 * @param {Request} request
 */
async function newest(request) {
  try {
    const found = await fetch(request);
    if (request.mode === "navigate" && found.ok && !found.redirected) {
      const kept = await caches.open("count");
      await kept.put(request, found.clone());
    }
    return found;
  } catch {
    return (await caches.match(request, { ignoreVary: true })) ?? Response.error();
  }
}

addEventListener("fetch", answer);
