// “Page me”: what may break, choosing it, and saying that it is over.

import { h } from "./dom.js";
import { icon } from "./icons.js";

export class Pager {
  // `waitIn(channel)` is told where a thread is about to come, and null when none will.
  constructor({ dialog, pageButton, overButton, post, waitIn }) {
    Object.assign(this, { dialog, pageButton, overButton, post, waitIn });
    this.tales = [];
    this.channel = null;
    this.goingOn = null;
    this.busy = false;
    pageButton.onclick = () => this.show();
    overButton.onclick = () => this.#act("over", {});
  }

  async load() {
    const body = await (await fetch("/playground/pager")).json();
    this.tales = body.tales;
    this.channel = body.channel;
    this.#now(body);
  }

  show() {
    const tale = ({ name, title, tells }) => h("li", {}, h("button", { class: "tale", onclick: () => this.#page(name) }, h("strong", {}, title), h("span", {}, tells)));
    this.dialog.replaceChildren(
      h("header", {}, h("h2", {}, "What breaks tonight?"), h("button", { class: "icon-button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon("close"))),
      h("div", { class: "modal-body" },
        h("p", {}, "You are on call for a simulated shop. Choose what you would see; finding out why is the agent's part."),
        h("ul", { class: "tales" }, this.tales.map(tale)),
        this.goingOn && h("p", {}, `“${this.goingOn.title}” is still going on; a new page ends it.`)));
    this.dialog.showModal();
  }

  async #page(scenario) {
    this.dialog.close();
    this.waitIn(this.channel);
    if (!(await this.#act("page", { scenario }))) this.waitIn(null);
  }

  async #act(action, body) {
    if (this.busy) return null;
    this.busy = true;
    this.#draw();
    const answer = await this.post(action, body);
    this.busy = false;
    if (answer) this.#now(answer);
    else this.#draw();
    return answer;
  }

  #now({ going_on }) {
    this.goingOn = going_on;
    this.#draw();
  }

  #draw() {
    this.pageButton.hidden = !this.tales.length;
    this.overButton.hidden = !this.goingOn;
    this.overButton.title = this.goingOn ? `Resolve “${this.goingOn.title}”` : "";
    this.pageButton.disabled = this.overButton.disabled = this.busy;
  }
}
