"use strict";
(() => {
  const list = document.getElementById("list");
  const form = document.getElementById("filter");
  if (!list || !form) return;
  form.hidden = false;
  const boxes = [...form.querySelectorAll("input[type=checkbox]")];
  const entries = [...list.children].map((entry) => [entry, entry.textContent.toLowerCase()]);
  function show() {
    const states = boxes.filter((box) => box.checked).map((box) => box.value);
    const words = form.search.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const [entry, text] of entries) {
      entry.hidden = !(states.includes(entry.dataset.state) && words.every((w) => text.includes(w)));
      shown += !entry.hidden;
    }
    form.shown.value = `${shown} of ${entries.length} shown`;
  }
  function only(state) {
    for (const box of boxes) box.checked = !state || box.value === state;
    form.search.value = "";
    show();
  }
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const link of document.querySelectorAll("a[data-only]"))
    link.addEventListener("click", () => only(link.dataset.only));
  addEventListener("hashchange", () => {
    if (location.hash.startsWith("#claim-")) only("");
  });
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
  });
  show();
})();
