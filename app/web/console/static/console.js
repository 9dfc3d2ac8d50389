// What the pages do besides being pages: one part is renewed while somebody looks, and ages grow.
// Without this everything is there; one reloads by hand.

const EVERY_MS = 5000;

function ago(at, now) {
  const seconds = Math.max(0, (now - at) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 5184000) return `${Math.floor(seconds / 86400)} days ago`;
  return `${Math.floor(seconds / 2592000)} months ago`;
}

function age() {
  for (const time of document.querySelectorAll("time")) {
    const said = time.querySelector(".ago");
    if (said) said.textContent = ago(new Date(time.dateTime), new Date());
  }
}

function renew(part) {
  const state = document.querySelector("[data-state]");
  const problem = document.querySelector("[data-problem]");
  const pause = document.querySelector("[data-pause]");
  let paused = false;

  const inUse = () => part.contains(document.activeElement) || !getSelection().isCollapsed;

  function say(words) {
    // Said once: what is repeated every five seconds is read out every five seconds.
    if (problem.textContent !== words) problem.textContent = words;
    problem.hidden = !words;
  }

  async function once() {
    if (paused || document.hidden || inUse()) return;
    try {
      const answer = await fetch(part.dataset.refresh, { headers: { Accept: "text/html" } });
      if (answer.status === 401) return say("You are signed out. Reload the page to sign in.");
      if (!answer.ok) return say("The agent does not answer just now; this goes on by itself.");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!paused && !inUse()) part.replaceChildren(...fresh.body.childNodes);
      say("");
    } catch {
      say("The agent cannot be reached; this goes on by itself.");
    }
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    state.textContent = paused ? "Paused" : "Refreshes every 5 s";
    document.body.classList.toggle("paused", paused);
    once();
  });
  document.addEventListener("visibilitychange", once);
  setInterval(once, EVERY_MS);
}

for (const each of document.querySelectorAll("[data-hidden-without-script]")) each.hidden = false;
const part = document.querySelector("[data-refresh]");
if (part) renew(part);
age();
setInterval(age, 10000);
