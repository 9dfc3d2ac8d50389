// Block Kit on the page: one function per block type.

import { emoji } from "./markup.js";
import { h, prose } from "./dom.js";
import { chart } from "./chart.js";
import { drawnEmoji, icon } from "./icons.js";

const STATUS = {
  pending: ["○", "waiting"],
  in_progress: ["", "running"],
  complete: ["✓", "done"],
  error: ["!", "failed"],
};

export class Blocks {
  // `act(message, block, element, value)` sends a click; `remember` keeps what the reader opened or chose.
  constructor(markup, act, people) {
    this.markup = markup;
    this.act = act;
    this.people = people;
    this.opened = new Map();
    this.chosen = new Map();
  }

  render(blocks, message) {
    return blocks.map((block) => {
      const draw = this[block.type];
      return draw ? draw.call(this, block, message) : h("div", { class: "unknown-block" }, `[${block.type}]`);
    });
  }

  #text(object) {
    if (!object) return null;
    if (object.type === "plain_text") return prose(this.markup.plain(object.text));
    return prose(this.markup.mrkdwn(object.text));
  }

  #plain(object) {
    return prose(this.markup.plain(object?.text ?? "")).textContent;
  }

  section(block, message) {
    const body = h("div", { class: "section-body" }, this.#text(block.text));
    if (block.fields) body.append(h("div", { class: "fields" }, block.fields.map((field) => this.#text(field))));
    const accessory = block.accessory && this.#element(block, block.accessory, message);
    return h("div", { class: "block section" }, body, accessory);
  }

  header(block) {
    return h("h3", { class: "block header-block" }, this.#plain(block.text));
  }

  divider() {
    return h("hr", { class: "block" });
  }

  markdown(block) {
    const element = prose(this.markup.markdown(block.text), "block markdown");
    return element;
  }

  context(block) {
    return h("div", { class: "block context" }, block.elements.map((each) => (each.type === "image" ? this.#image(each) : this.#text(each))));
  }

  image(block) {
    return h("figure", { class: "block" }, this.#image(block), block.title && h("figcaption", {}, this.#plain(block.title)));
  }

  // The page shows nothing from other hosts: an image is a link with its description.
  #image(block) {
    const url = block.image_url ?? "";
    if (!/^https?:/.test(url)) return h("span", { class: "image-stand-in" }, `Image: ${block.alt_text}`);
    return h("a", { class: "image-stand-in", href: url, target: "_blank", rel: "noopener noreferrer" }, `Image: ${block.alt_text}`);
  }

  file(block) {
    return h("div", { class: "block unknown-block" }, icon("file"), ` ${block.external_id}`);
  }

  actions(block, message) {
    return h("div", { class: "block actions" }, block.elements.map((element) => this.#element(block, element, message)));
  }

  context_actions(block, message) {
    return h("div", { class: "block context-actions" }, block.elements.map((element) => this.#element(block, element, message)));
  }

  input(block) {
    return h("label", { class: "block input" }, this.#plain(block.label), h("input", { disabled: true }));
  }

  table(block) {
    const aligns = (block.column_settings ?? []).map((column) => column?.align ?? "left");
    const cell = (tag) => (each, index) =>
      h(tag, { class: `align-${aligns[index] ?? "left"}` }, each.type === "rich_text" ? this.rich_text(each) : String(each.text ?? each.value ?? ""));
    const [head, ...rows] = block.rows;
    return h("div", { class: "block table-wrap" },
      h("table", {}, h("thead", {}, h("tr", {}, head.map(cell("th")))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell("td")))))));
  }

  data_visualization(block) {
    return h("figure", { class: "block chart" }, h("figcaption", {}, block.title), chart(block.chart));
  }

  plan(block, message) {
    const tasks = block.tasks ?? [];
    const done = tasks.filter((task) => task.status === "complete").length;
    const running = message.streaming && tasks.some((task) => task.status !== "complete" && task.status !== "error");
    const failed = tasks.some((task) => task.status === "error");
    const key = `${message.ts}/plan`;
    const state = running ? "running" : failed ? "failed" : "done";
    const details = h("details", { class: `block plan plan-${state}`, open: this.opened.get(key) ?? message.streaming },
      h("summary", {},
        this.#mark(running ? "in_progress" : failed ? "error" : "complete"),
        h("span", { class: "plan-title" }, block.title),
        tasks.length ? h("span", { class: "plan-count" }, `${done} of ${tasks.length}`) : null),
      h("ol", { class: "tasks" }, tasks.map((task) => this.#task(task, message))));
    return this.#remember(details, key);
  }

  task_card(block, message) {
    return h("div", { class: "block task-card" }, h("ol", { class: "tasks" }, this.#task(block, message)));
  }

  #task(task, message) {
    const sources = (task.sources ?? []).map((source) =>
      /^https?:/.test(source.url) ? h("a", { class: "source", href: source.url, target: "_blank", rel: "noopener noreferrer" }, source.text) : h("span", { class: "source" }, source.text));
    const more = [task.details && this.rich_text(task.details), task.output && h("div", { class: "task-output" }, this.rich_text(task.output)), sources.length ? h("div", { class: "sources" }, sources) : null].filter(Boolean);
    const status = task.status ?? "pending";
    const title = [this.#mark(status), h("span", { class: "task-title" }, task.title), h("span", { class: "sr-only" }, ` (${STATUS[status][1]})`)];
    if (!more.length) return h("li", { class: `task task-${status}` }, h("div", { class: "task-head" }, title));
    const key = `${message.ts}/${task.task_id}`;
    const details = h("details", { open: this.opened.get(key) ?? false }, h("summary", { class: "task-head" }, title), h("div", { class: "task-more" }, more));
    return h("li", { class: `task task-${status}` }, this.#remember(details, key));
  }

  #mark(status) {
    return h("span", { class: `mark mark-${status}`, "aria-hidden": "true" }, STATUS[status][0]);
  }

  #remember(details, key) {
    // `toggle` also fires when the element is made open; only the reader's own click is to be kept.
    details.querySelector("summary").addEventListener("click", () => this.opened.set(key, !details.open));
    return details;
  }

  rich_text(block) {
    const draw = (element) => {
      const inside = (element.elements ?? []).map((each) => this.#rich(each));
      if (element.type === "rich_text_list") {
        return h(element.style === "ordered" ? "ol" : "ul", {}, element.elements.map((item) => h("li", {}, (item.elements ?? []).map((each) => this.#rich(each)))));
      }
      if (element.type === "rich_text_preformatted") return h("div", { class: "code-block" }, h("pre", {}, h("code", {}, inside)));
      if (element.type === "rich_text_quote") return h("blockquote", {}, inside);
      return h("p", {}, inside);
    };
    return h("div", { class: "block prose rich-text" }, block.elements.map(draw));
  }

  #rich(element) {
    const style = element.style ?? {};
    let shown;
    if (element.type === "link") {
      const safe = /^(https?:|mailto:)/.test(element.url);
      shown = safe ? h("a", { href: element.url, target: "_blank", rel: "noopener noreferrer" }, element.text ?? element.url) : h("span", {}, element.text ?? element.url);
    } else if (element.type === "user") shown = h("span", { class: "mention" }, `@${this.markup.names.user(element.user_id) ?? element.user_id}`);
    else if (element.type === "usergroup") shown = h("span", { class: "mention" }, `@${this.markup.names.group(element.usergroup_id) ?? element.usergroup_id}`);
    else if (element.type === "channel") shown = h("span", { class: "mention" }, `#${this.markup.names.channel(element.channel_id) ?? element.channel_id}`);
    else if (element.type === "broadcast") shown = h("span", { class: "mention mention-me" }, `@${element.range}`);
    else if (element.type === "emoji") shown = drawnEmoji(element.name) ?? document.createTextNode(emoji(element.name));
    else shown = document.createTextNode(element.text ?? "");
    for (const [name, tag] of [["code", "code"], ["bold", "strong"], ["italic", "em"], ["strike", "del"]]) {
      if (style[name]) shown = h(tag, {}, shown);
    }
    return shown;
  }

  #element(block, element, message) {
    if (element.type === "button") return this.#button(block, element, message);
    if (element.type === "feedback_buttons") return this.#feedback(block, element, message);
    if (element.type === "icon_button") return h("button", { class: "icon-button", title: this.#plain(element.text), onclick: () => this.act(message, block, element, element.value) }, icon("trash"));
    if (element.type === "image") return this.#image(element);
    if (element.type.includes("select") || element.type === "overflow" || element.type === "radio_buttons") return this.#select(block, element, message);
    return h("span", { class: "unknown-block" }, `[${element.type}]`);
  }

  #button(block, element, message) {
    const click = async (event) => {
      if (element.confirm && !window.confirm(`${this.#plain(element.confirm.title)}\n\n${this.#plain(element.confirm.text)}`)) return;
      event.currentTarget.classList.add("pressed");
      if (element.url) window.open(element.url, "_blank", "noopener");
      await this.act(message, block, element, element.value);
    };
    return h("button", { class: `button ${element.style ?? ""}`, "aria-label": element.accessibility_label, onclick: click }, this.#plain(element.text));
  }

  #feedback(block, element, message) {
    const key = `${message.ts}/${element.action_id}`;
    const side = (button, drawn) => {
      const pressed = this.chosen.get(key) === button.value;
      return h("button", {
        class: `thumb${pressed ? " thumb-chosen" : ""}`, "aria-pressed": String(pressed), title: this.#plain(button.text),
        "aria-label": button.accessibility_label ?? this.#plain(button.text),
        onclick: (event) => {
          this.chosen.set(key, button.value);
          const group = event.currentTarget.parentElement;
          group.querySelectorAll(".thumb").forEach((each) => {
            each.classList.toggle("thumb-chosen", each === event.currentTarget);
            each.setAttribute("aria-pressed", String(each === event.currentTarget));
          });
          this.act(message, block, element, button.value);
        },
      }, icon(drawn));
    };
    return h("span", { class: "feedback", role: "group", "aria-label": "Feedback" }, side(element.positive_button, "up"), side(element.negative_button, "down"));
  }

  #select(block, element, message) {
    const options = this.options(element);
    const choose = (event) => event.currentTarget.value && this.act(message, block, element, event.currentTarget.value);
    const label = element.type === "overflow" ? "⋯" : this.#plain(element.placeholder) || "Choose…";
    return h("select", { class: "select", "aria-label": label, onchange: choose }, h("option", { value: "" }, label),
      options.map((option) => h("option", { value: option.value }, this.#plain(option.text))));
  }

  options(element) {
    const plain = (text, value) => ({ text: { type: "plain_text", text }, value });
    if (element.type.includes("users")) return this.people.users().map((user) => plain(user.real_name, user.id));
    if (element.type.includes("conversations") || element.type.includes("channels")) return this.people.channels().map((channel) => plain(`#${channel.name}`, channel.id));
    return [...(element.options ?? []), ...(element.option_groups ?? []).flatMap((group) => group.options)];
  }
}
