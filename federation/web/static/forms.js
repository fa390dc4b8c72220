/* Asks once more before a form with data-confirm is sent. */
(function () {
  "use strict";

  document.addEventListener("submit", function (event) {
    const words = event.target.dataset.confirm;
    if (words && !window.confirm(words)) event.preventDefault();
  });
})();
