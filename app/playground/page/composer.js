// Where people write: a growing box with @-completion, files and Enter to send.

import { h, size } from "./dom.js";
import { icon } from "./icons.js";

export class Composer {
  // `candidates()` answers [{name, label, id, avatar}], `send(text, files)` gets what was written.
  constructor({ place, label, candidates, send }) {
    this.candidates = candidates;
    this.send = send;
    this.files = [];
    this.chosen = 0;
    this.box = h("textarea", {
      rows: "1", "aria-label": label, placeholder: label, autocomplete: "off", spellcheck: "true",
      oninput: () => this.#changed(), onkeydown: (event) => this.#key(event), onblur: () => setTimeout(() => this.#close(), 150),
      onpaste: (event) => event.clipboardData.files.length && (event.preventDefault(), this.#attach(event.clipboardData.files)),
    });
    this.menu = h("ul", { class: "completion", role: "listbox", hidden: true });
    this.tray = h("ul", { class: "tray", hidden: true });
    this.picker = h("input", { type: "file", multiple: true, hidden: true, onchange: () => this.#attach(this.picker.files) });
    this.button = h("button", { class: "send", "aria-label": "Send", title: "Send (Enter)", disabled: true, onclick: () => this.#submit() }, icon("send"));
    const bar = h("div", { class: "composer-bar" },
      h("button", { class: "icon-button", "aria-label": "Attach a file", title: "Attach a file", onclick: () => this.picker.click() }, icon("clip")),
      h("button", { class: "icon-button", "aria-label": "Mention somebody", title: "Mention somebody", onclick: () => this.insert("@") }, "@"),
      h("span", { class: "composer-tip" }, "Enter sends, Shift + Enter makes a new line"), this.button);
    this.root = h("div", {
      class: "composer", ondragover: (event) => event.preventDefault(),
      ondrop: (event) => (event.preventDefault(), this.#attach(event.dataTransfer.files)),
    }, this.menu, this.tray, this.box, bar, this.picker);
    place.replaceChildren(this.root);
  }

  label(text) {
    this.box.placeholder = text;
    this.box.setAttribute("aria-label", text);
  }

  fill(text) {
    this.box.value = text;
    this.#changed();
    this.box.focus();
    this.box.setSelectionRange(text.length, text.length);
    this.#close();
  }

  insert(text) {
    const before = this.box.value.slice(0, this.box.selectionStart);
    const gap = before && !/\s$/.test(before) ? " " : "";
    this.box.setRangeText(gap + text, this.box.selectionStart, this.box.selectionEnd, "end");
    this.box.focus();
    this.#changed();
  }

  focus() {
    this.box.focus();
  }

  #attach(files) {
    this.files.push(...files);
    this.#drawTray();
    this.#changed();
  }

  #drawTray() {
    this.tray.hidden = !this.files.length;
    this.tray.replaceChildren(...this.files.map((file, index) =>
      h("li", {}, icon("file"), ` ${file.name} `, h("small", {}, size(file.size)),
        h("button", { class: "icon-button", "aria-label": `Remove ${file.name}`, onclick: () => { this.files.splice(index, 1); this.#drawTray(); this.#changed(); } }, icon("close")))));
  }

  #changed() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, 240)}px`;
    this.button.disabled = !this.box.value.trim() && !this.files.length;
    this.#complete();
  }

  #word() {
    const before = this.box.value.slice(0, this.box.selectionStart);
    return /(?:^|\s)@([\w.-]*)$/.exec(before)?.[1];
  }

  #complete() {
    const word = this.#word();
    this.found = word === undefined ? [] : this.candidates().filter((each) => each.name.startsWith(word.toLowerCase()) || each.label.toLowerCase().includes(word.toLowerCase())).slice(0, 6);
    this.chosen = Math.min(this.chosen, Math.max(this.found.length - 1, 0));
    this.menu.hidden = !this.found.length;
    this.menu.replaceChildren(...this.found.map((each, index) =>
      h("li", { role: "option", "aria-selected": String(index === this.chosen), class: index === this.chosen ? "chosen" : "", onmousedown: (event) => (event.preventDefault(), this.#take(each)) },
        each.avatar(), h("strong", {}, each.name), h("span", {}, each.label))));
  }

  #take(each) {
    const at = this.box.selectionStart;
    const from = at - this.#word().length - 1;
    this.box.setRangeText(`@${each.name} `, from, at, "end");
    this.#changed();
    this.#close();
  }

  #close() {
    this.menu.hidden = true;
    this.chosen = 0;
  }

  #key(event) {
    if (!this.menu.hidden) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        this.chosen = (this.chosen + (event.key === "ArrowDown" ? 1 : -1) + this.found.length) % this.found.length;
        this.#complete();
        return event.preventDefault();
      }
      if (event.key === "Enter" || event.key === "Tab") {
        this.#take(this.found[this.chosen]);
        return event.preventDefault();
      }
      if (event.key === "Escape") {
        this.#close();
        event.stopPropagation();
        return undefined;
      }
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    }
    return undefined;
  }

  async #submit() {
    const text = this.box.value.trim();
    if (!text && !this.files.length) return;
    const files = this.files;
    this.box.value = "";
    this.files = [];
    this.#drawTray();
    this.#changed();
    if (!(await this.send(text, files))) {
      this.files = files;
      this.#drawTray();
      this.fill(text);
    }
  }
}
