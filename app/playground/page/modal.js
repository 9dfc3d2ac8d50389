// Modals: the fields of a view, and what was filled in.

import { h, prose } from "./dom.js";
import { icon } from "./icons.js";

export class Modal {
  constructor({ dialog, markup, blocks, post }) {
    Object.assign(this, { dialog, markup, blocks, post });
    this.view = null;
    dialog.addEventListener("cancel", (event) => (event.preventDefault(), this.#dismiss()));
  }

  show(view) {
    this.view = view;
    const form = h("form", { onsubmit: (event) => (event.preventDefault(), this.#submit()) },
      h("header", {}, h("h2", {}, view.title.text), h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => this.#dismiss() }, icon("close"))),
      h("div", { class: "modal-body" }, view.blocks.map((block) => (block.type === "input" ? this.#input(block) : this.blocks.render([block], { ts: view.id })))),
      h("footer", {}, h("button", { type: "button", class: "button", onclick: () => this.#dismiss() }, view.close?.text ?? "Cancel"),
        view.submit && h("button", { class: "button primary" }, view.submit.text)));
    this.dialog.replaceChildren(form);
    if (!this.dialog.open) this.dialog.showModal();
  }

  hide(view) {
    if (this.view?.id !== view.id) return;
    this.view = null;
    this.dialog.close();
  }

  #input(block) {
    return h("label", { class: "modal-input", dataset: { block: block.block_id }, oninput: (event) => (event.currentTarget.querySelector(".field-error").hidden = true) }, h("span", {}, block.label.text, block.optional && h("small", {}, " (optional)")),
      this.#field(block.element), h("em", { class: "field-error", hidden: true }), block.hint && h("small", {}, prose(this.markup.plain(block.hint.text)).textContent));
  }

  #field(element) {
    const marks = { dataset: { action: element.action_id, type: element.type } };
    if (element.type === "checkboxes" || element.type === "radio_buttons") {
      const type = element.type === "checkboxes" ? "checkbox" : "radio";
      return h("div", marks, element.options.map((option) => h("label", { class: "choice" }, h("input", { type, name: element.action_id, value: option.value }), ` ${option.text.text}`)));
    }
    if (element.type.includes("select")) {
      const initial = element.initial_option?.value;
      return h("select", { ...marks, multiple: element.type.startsWith("multi") }, h("option", { value: "" }, element.placeholder?.text ?? "Choose…"),
        this.blocks.options(element).map((option) => h("option", { value: option.value, selected: option.value === initial }, option.text.text)));
    }
    if (element.multiline) return h("textarea", { ...marks, rows: "4", placeholder: element.placeholder?.text }, element.initial_value ?? "");
    const type = { number_input: "number", datepicker: "date", timepicker: "time", email_text_input: "email", url_text_input: "url" }[element.type] ?? "text";
    return h("input", { ...marks, type, value: element.initial_value ?? "", placeholder: element.placeholder?.text });
  }

  #values() {
    const values = {};
    for (const block of this.view.blocks.filter((each) => each.type === "input")) {
      const field = this.dialog.querySelector(`[data-block="${CSS.escape(block.block_id)}"] [data-action]`);
      values[block.block_id] = { [block.element.action_id]: this.#state(block.element, field) };
    }
    return values;
  }

  #state(element, field) {
    const option = (value) => this.blocks.options(element).find((each) => each.value === value) ?? null;
    const type = element.type;
    if (type === "checkboxes") return { type, selected_options: [...field.querySelectorAll("input:checked")].map((box) => option(box.value)) };
    if (type === "radio_buttons") return { type, selected_option: option(field.querySelector("input:checked")?.value) };
    if (type === "users_select") return { type, selected_user: field.value || null };
    if (type.startsWith("multi")) return { type, selected_options: [...field.selectedOptions].map((each) => option(each.value)).filter(Boolean) };
    if (type.includes("select")) return { type, selected_option: option(field.value) };
    if (type === "datepicker") return { type, selected_date: field.value || null };
    return { type, value: field.value || null };
  }

  async #submit() {
    const missing = this.view.blocks.filter((block) => block.type === "input" && !block.optional).filter((block) => {
      const field = this.dialog.querySelector(`[data-block="${CSS.escape(block.block_id)}"] [data-action]`);
      return field.value === "";
    });
    if (missing.length) return this.#errors(Object.fromEntries(missing.map((block) => [block.block_id, "Please fill this in"])));
    const answer = await this.post("submit", { view: this.view.id, values: this.#values() });
    return this.#errors(answer?.errors ?? {});
  }

  #errors(errors) {
    this.dialog.querySelectorAll("[data-block]").forEach((label) => {
      const shown = label.querySelector(".field-error");
      shown.textContent = errors[label.dataset.block] ?? "";
      shown.hidden = !errors[label.dataset.block];
    });
  }

  #dismiss() {
    this.post("dismiss", { view: this.view.id });
  }
}
