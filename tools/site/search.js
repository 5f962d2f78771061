// Finds definitions by name or path; INDEX holds [name, kind, address] of each, PAGES the files the addresses count in.
const query = document.getElementById("query"), hits = document.getElementById("hits");

function rank([name, , , where], words) {
  const text = where.toLowerCase();
  if (!words.every(word => text.includes(word))) return 0;
  const last = words[words.length - 1], own = name.toLowerCase();
  return (own === last ? 4 : own.startsWith(last) ? 3 : own.includes(last) ? 2 : 1) + 1 / (1 + where.length);
}

query.addEventListener("input", () => {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = !words.length ? [] : INDEX
    .map(([name, kind, page, anchor]) => [name, kind, PAGES[page] + "#" + anchor, PAGES[page] + " " + anchor])
    .map(entry => [rank(entry, words), entry]).filter(([score]) => score > 0)
    .sort((a, b) => b[0] - a[0]).slice(0, 40);
  hits.replaceChildren(...found.map(([, [name, kind, href, where]]) => {
    const item = document.createElement("li"), link = document.createElement("a"), small = document.createElement("small");
    link.href = href;
    small.textContent = " " + kind + " " + where.replace(".html", "");
    link.append(name, small);
    item.append(link);
    return item;
  }));
  hits.hidden = !found.length;
});

hits.addEventListener("click", () => { hits.hidden = true; });
document.addEventListener("keydown", event => {
  if (event.key === "Escape") { hits.hidden = true; query.blur(); }
  if (event.key === "/" && document.activeElement !== query) { event.preventDefault(); query.focus(); }
  if (event.key === "Enter" && document.activeElement === query) hits.querySelector("a")?.click();
});
