/* What changes while it is looked at.

   <section data-live="URL"> watches server-sent events, whose data is a flat JSON object. For each of its names:
     <... data-live-text="NAME">      has its text replaced,
     <progress data-live-value="NAME"> its value,
     <... data-live-show="NAME">      is hidden while it is false.
   Event "changed": the section fires "live" for htmx (hx-trigger="live"), to have a part of the page made again.
   Event "over": nothing more will come. <p data-live-state> says when the connection is lost, or when it is over. */
(function () {
  "use strict";

  const watched = new WeakSet();

  function fill(section, data) {
    for (const [name, value] of Object.entries(data)) {
      const named = CSS.escape(name);
      section.querySelectorAll('[data-live-text="' + named + '"]').forEach(function (element) {
        element.textContent = value === null ? "–" : String(value);
      });
      section.querySelectorAll('[data-live-value="' + named + '"]').forEach(function (element) {
        if (value === null) element.removeAttribute("value");
        else element.value = Number(value);
      });
      section.querySelectorAll('[data-live-show="' + named + '"]').forEach(function (element) {
        element.hidden = !value;
      });
    }
  }

  function watch(section) {
    if (watched.has(section)) return;
    watched.add(section);
    const source = new EventSource(section.dataset.live);
    const state = section.querySelector("[data-live-state]");
    const say = function (words) { if (state) state.textContent = words || ""; };
    const take = function (event) {
      if (!section.isConnected) { source.close(); return false; }
      say("");
      fill(section, JSON.parse(event.data));
      return true;
    };
    source.onopen = function () { say(""); };
    source.onerror = function () { say(section.dataset.liveLost); };
    source.onmessage = take;
    source.addEventListener("progress", take);
    source.addEventListener("changed", function (event) {
      if (take(event) && window.htmx) window.htmx.trigger(section, "live");
    });
    source.addEventListener("over", function (event) {
      take(event);
      source.close();
      say(section.dataset.liveOver);
      if (window.htmx) window.htmx.trigger(section, "live");
    });
  }

  function watchAll(root) { root.querySelectorAll("[data-live]").forEach(watch); }

  document.addEventListener("DOMContentLoaded", function () { watchAll(document); });
  document.addEventListener("htmx:load", function (event) { watchAll(event.detail.elt.parentNode || document); });
})();
