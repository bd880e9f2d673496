"use strict";
// One episode at a time, as far as the slider says. Without this script all episodes are there as a whole.
for (const steps of document.querySelectorAll(".steps")) {
  const frames = [...steps.querySelectorAll(".frame")].map((frame) => {
    const path = frame.querySelector("polyline");
    const circles = frame.querySelectorAll("circle");
    return { frame, path, end: circles[circles.length - 1], points: path.getAttribute("points").split(" ") };
  });
  const controls = steps.querySelector(".controls");
  const episode = controls.querySelector(".episode");
  const step = controls.querySelector(".step");
  const button = controls.querySelector("button");
  const output = controls.querySelector("output");
  let timer = null;

  const show = () => {
    const now = frames[episode.value];
    frames.forEach(({ frame }) => { frame.hidden = frame !== now.frame; });
    step.max = now.points.length - 1;
    const at = Number(step.value);
    now.path.setAttribute("points", now.points.slice(0, at + 1).join(" "));
    const [x, y] = now.points[at].split(",");
    now.end.setAttribute("cx", x);
    now.end.setAttribute("cy", y);
    output.textContent = `episode ${now.frame.dataset.episode}, step ${at} of ${step.max}`;
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const whole = () => {
    step.max = frames[episode.value].points.length - 1;
    step.value = step.max;
    show();
  };
  const next = () => {
    if (Number(step.value) < Number(step.max)) {
      step.value = Number(step.value) + 1;
    } else if (Number(episode.value) < Number(episode.max)) {
      episode.value = Number(episode.value) + 1;
      step.value = 0;
    } else {
      stop();
    }
    show();
  };
  episode.addEventListener("input", () => { stop(); whole(); });
  step.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer !== null) {
      stop();
      return;
    }
    if (step.value === step.max && episode.value === episode.max) {
      episode.value = 0;
    }
    if (step.value === step.max) {
      step.value = 0;
    }
    button.textContent = "Pause";
    timer = setInterval(next, 250);
  });
  // What is printed is whole.
  window.addEventListener("beforeprint", () => {
    for (const { path, points, end } of frames) {
      path.setAttribute("points", points.join(" "));
      const [x, y] = points[points.length - 1].split(",");
      end.setAttribute("cx", x);
      end.setAttribute("cy", y);
    }
  });
  window.addEventListener("afterprint", show);
  steps.querySelector(".frames").classList.add("single");
  controls.hidden = false;
  whole();
}
