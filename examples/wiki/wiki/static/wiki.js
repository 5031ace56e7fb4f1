// All of it is an addition: the wiki works without.
"use strict";

const editor = document.querySelector("[data-editor]");

// "/" goes to the search, "e" to the editor; Ctrl+Enter saves.
document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && editor && editor.contains(event.target)) {
    event.preventDefault();
    editor.requestSubmit(editor.querySelector("button[value=save]"));
  } else if (!writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const wanted = { "/": "#search", e: "[aria-keyshortcuts=e]" }[event.key];
    const element = wanted && document.querySelector(wanted);
    if (element) {
      event.preventDefault();
      if (element.matches("a")) element.click();
      else element.focus();
    }
  }
});

// A text that was not saved is not left without a question.
if (editor) {
  let changed = false;
  editor.addEventListener("input", () => { changed = true; });
  editor.addEventListener("submit", () => { changed = false; });
  window.addEventListener("beforeunload", (event) => {
    if (changed) event.preventDefault();
  });
}

// Times as the reader's clock has them.
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (!Number.isNaN(moment.valueOf())) {
    time.title = time.textContent;
    time.textContent = moment.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  }
}
