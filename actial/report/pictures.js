// Pictures stand once in the page, by view id, and are decoded when they are first shown. Runs under a policy that lets nothing else run.
"use strict";
const pictures = JSON.parse(document.getElementById("pictures").textContent);

function fillPictures(within) {
  for (const img of within.querySelectorAll("img[data-view]:not([src])")) {
    const data = pictures[img.dataset.view];
    if (data === undefined) {
      const note = document.createElement("p");
      note.className = "missing";
      note.textContent = "This picture is not there or cannot be read.";
      img.replaceWith(note);
    } else {
      img.src = data;
    }
  }
}

