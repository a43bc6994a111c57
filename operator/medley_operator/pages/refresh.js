// Shows the newest page in place of this one, and says so where the operator does not answer.
const EVERY_MILLISECONDS = 10_000;
const said = document.createElement("p");
said.setAttribute("role", "status");

async function refresh() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    said.textContent = "";
    next.append(said);
    document.querySelector("main").replaceWith(next);
  } catch (error) {
    said.textContent = `This is old: the operator does not answer (${error.message}).`;
    document.querySelector("main").append(said);
  }
  document.documentElement.dataset.refreshed = String(Number(document.documentElement.dataset.refreshed ?? 0) + 1);
}

setInterval(refresh, EVERY_MILLISECONDS);
addEventListener("medley-refresh", refresh);
