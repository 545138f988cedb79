// The editor's style sheet, once a page.

let loaded = false;

export function loadStyle() {
  if (loaded) return;
  loaded = true;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./editor.css", import.meta.url).href;
  document.head.append(link);
}

// An element with a class, properties and children.
export function make(tag, className = "", properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (className) element.className = className;
  element.append(...children);
  return element;
}
