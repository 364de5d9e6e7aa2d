// What the pages can't do alone: copy an example, and show in the contents where you are.
"use strict";

const COPIED_FOR_MS = 2000;

// On a phone the contents are closed until they are wanted.
const contents = document.querySelector("nav details");
const narrow = matchMedia("(max-width: 60rem)");
if (contents) {
  const fold = () => { contents.open = !narrow.matches; };
  fold();
  narrow.addEventListener("change", fold);
  contents.addEventListener("click", (event) => {
    if (narrow.matches && event.target.closest("a")) contents.open = false;
  });
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // A page over plain HTTP has no clipboard, but a selected field can be copied.
  const field = document.createElement("textarea");
  field.className = "unseen";
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("the browser does not copy");
}

for (const example of document.querySelectorAll(".code")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await copy(example.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    setTimeout(() => { button.textContent = "Copy"; }, COPIED_FOR_MS);
  });
  example.append(button);
}

const links = new Map();
for (const link of document.querySelectorAll("nav a[href^='#']")) links.set(link.hash.slice(1), link);
let marked;
const onTop = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    marked?.removeAttribute("aria-current");
    marked = links.get(entry.target.id);
    marked?.setAttribute("aria-current", "true");
    marked?.scrollIntoView({ block: "nearest" });
  }
}, { rootMargin: "0px 0px -80% 0px" });
for (const id of links.keys()) {
  const section = document.getElementById(id);
  if (section) onTop.observe(section);
}
