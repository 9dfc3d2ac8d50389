// Slack's mrkdwn and standard markdown, to HTML in which everything a message says is escaped.

const EMOJI = {
  eyes: "👀", white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", "+1": "👍", thumbsup: "👍", "-1": "👎",
  thumbsdown: "👎", warning: "⚠️", rotating_light: "🚨", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  tada: "🎉", fire: "🔥", heart: "❤️", bulb: "💡", memo: "📝", page_facing_up: "📄", mag: "🔍", rocket: "🚀",
  red_circle: "🔴", large_orange_circle: "🟠", large_yellow_circle: "🟡", large_green_circle: "🟢",
  large_blue_circle: "🔵", white_circle: "⚪", bell: "🔔", pray: "🙏", wave: "👋", raised_hands: "🙌",
  robot_face: "🤖", question: "❓", exclamation: "❗", information_source: "ℹ️", link: "🔗", pushpin: "📌",
  chart_with_upwards_trend: "📈", bar_chart: "📊", books: "📚", wrench: "🔧", hammer_and_wrench: "🛠️",
  octagonal_sign: "🛑", electric_plug: "🔌", stopwatch: "⏱️", thinking_face: "🤔", smile: "😄", slightly_smiling_face: "🙂", siren: "🚨",
};

export const emoji = (name) => EMOJI[name.split("::")[0]] ?? `:${name}:`;

export const escape = (text) =>
  String(text).replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);

const decode = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

const safeUrl = (url) => (/^(https?:|mailto:)/i.test(url) ? url : null);

// Finished pieces of HTML stand in the text as private-use marks until everything around them is escaped.
class Stash {
  pieces = [];
  put(html) {
    this.pieces.push(html);
    return `\uE000${this.pieces.length - 1}\uE001`;
  }
  restore(html) {
    let previous;
    do {
      previous = html;
      html = html.replace(/\uE000(\d+)\uE001/g, (_, n) => this.pieces[Number(n)]);
    } while (html !== previous);
    return html;
  }
}

export class Markup {
  // `names` answers user(id), channel(id) and group(id) with what a mention shows, and `me` is the reader.
  constructor(names) {
    this.names = names;
  }

  mrkdwn(text) {
    return this.#blocks(this.#clean(text), "mrkdwn");
  }

  markdown(text) {
    return this.#blocks(this.#clean(text), "markdown");
  }

  plain(text) {
    return escape(decode(text)).replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);
  }

  #clean(text) {
    return String(text ?? "").replace(/[\uE000\uE001]/g, "");
  }

  #blocks(text, dialect) {
    const lines = text.replaceAll("\r", "").split("\n");
    const out = [];
    let index = 0;
    while (index < lines.length) {
      const taken = this.#fence(lines, index) ?? this.#block(lines, index, dialect);
      out.push(taken.html);
      index = taken.next;
    }
    return out.join("");
  }

  #fence(lines, start) {
    const opened = /^(\s*)(`{3,}|~{3,})\s*([\w+.-]*)(.*)$/.exec(lines[start]);
    if (!opened) return null;
    const [, , mark, language, rest] = opened;
    if (rest.endsWith(mark)) {
      const code = (language + rest).slice(0, -mark.length);
      return { html: this.#code(code, ""), next: start + 1 };
    }
    const body = rest.trim() || (mark === "```" && language && !/^[a-z]+$/.test(language)) ? [language + rest] : [];
    let end = start + 1;
    while (end < lines.length && !lines[end].trimEnd().endsWith(mark)) body.push(lines[end++]);
    if (end < lines.length) {
      const last = lines[end].trimEnd().slice(0, -mark.length);
      if (last.trim()) body.push(last);
    }
    return { html: this.#code(body.join("\n"), language), next: end + 1 };
  }

  #code(code, language) {
    const label = language ? `<span class="code-language">${escape(language)}</span>` : "";
    return `<div class="code-block">${label}<pre><code>${escape(decode(code))}</code></pre></div>`;
  }

  #block(lines, start, dialect) {
    const line = lines[start];
    if (!line.trim()) return { html: start && start < lines.length - 1 ? '<div class="gap"></div>' : "", next: start + 1 };
    if (dialect === "markdown") {
      const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
      if (heading) return { html: this.#heading(heading), next: start + 1 };
      if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) return { html: "<hr>", next: start + 1 };
      const table = this.#table(lines, start);
      if (table) return table;
    }
    if (/^\s*(>|&gt;)/.test(line)) return this.#quote(lines, start, dialect);
    if (this.#item(line)) return this.#list(lines, start, dialect);
    return this.#paragraph(lines, start, dialect);
  }

  #heading([, marks, text]) {
    const level = Math.min(marks.length + 2, 6);
    return `<h${level} class="md-h md-h${marks.length}">${this.inline(text, "markdown")}</h${level}>`;
  }

  #quote(lines, start, dialect) {
    const inside = [];
    let end = start;
    while (end < lines.length && /^\s*(>|&gt;)/.test(lines[end])) inside.push(lines[end++].replace(/^\s*(>|&gt;)\s?/, ""));
    return { html: `<blockquote>${this.#blocks(inside.join("\n"), dialect)}</blockquote>`, next: end };
  }

  #item(line) {
    const found = /^(\s*)([-*•◦+]|\d{1,9}[.)])\s+(.*)$/.exec(line);
    if (!found) return null;
    return { indent: found[1].replaceAll("\t", "    ").length, ordered: /\d/.test(found[2]), from: parseInt(found[2], 10), text: found[3] };
  }

  #list(lines, start, dialect) {
    const first = this.#item(lines[start]);
    const items = [];
    let index = start;
    while (index < lines.length) {
      const item = this.#item(lines[index]);
      const indent = /^\s*/.exec(lines[index])[0].length;
      if (item && item.indent <= first.indent + 1 && item.ordered === first.ordered && item.indent >= first.indent - 1) {
        items.push({ head: item.text, rest: [] });
      } else if (items.length && lines[index].trim() && indent > first.indent) {
        items.at(-1).rest.push(lines[index].slice(Math.min(indent, first.indent + 2)));
      } else if (!lines[index].trim() && this.#continues(lines, index, first)) {
        items.at(-1).rest.push("");
      } else break;
      index += 1;
    }
    const tag = first.ordered ? "ol" : "ul";
    const from = first.ordered && first.from !== 1 ? ` start="${first.from}"` : "";
    const shown = items.map(({ head, rest }) => {
      const check = /^\[([ xX])\]\s+/.exec(head);
      const box = check ? `<span class="check">${check[1] === " " ? "☐" : "☑"}</span> ` : "";
      const text = this.inline(check ? head.slice(check[0].length) : head, dialect);
      const more = rest.join("\n").trimEnd();
      return `<li>${box}${text}${more ? this.#blocks(more, dialect) : ""}</li>`;
    });
    return { html: `<${tag}${from}>${shown.join("")}</${tag}>`, next: index };
  }

  #continues(lines, index, first) {
    const next = lines[index + 1];
    if (next === undefined || !next.trim()) return false;
    const item = this.#item(next);
    return (item && item.ordered === first.ordered && item.indent >= first.indent) || /^\s*/.exec(next)[0].length > first.indent + 1;
  }

  #table(lines, start) {
    const rule = lines[start + 1];
    if (!lines[start].includes("|") || !rule || !/^\s*(?:\|\s*)?:?-+:?\s*(?:\|\s*:?-+:?\s*)*(?:\|\s*)?$/.test(rule)) return null;
    if (!rule.includes("|")) return null;
    const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
    const aligns = cells(rule).map((c) => (/^:-+:$/.test(c) ? "center" : /-:$/.test(c) ? "right" : "left"));
    const row = (line, tag) =>
      `<tr>${cells(line).map((cell, i) => `<${tag} class="align-${aligns[i] ?? "left"}">${this.inline(cell, "markdown")}</${tag}>`).join("")}</tr>`;
    let end = start + 2;
    while (end < lines.length && lines[end].includes("|") && lines[end].trim()) end += 1;
    const body = lines.slice(start + 2, end).map((line) => row(line, "td")).join("");
    return { html: `<div class="table-wrap"><table><thead>${row(lines[start], "th")}</thead><tbody>${body}</tbody></table></div>`, next: end };
  }

  #paragraph(lines, start, dialect) {
    const inside = [];
    let end = start;
    do inside.push(lines[end++]);
    while (end < lines.length && lines[end].trim() && !this.#starts(lines, end, dialect));
    return { html: `<p>${inside.map((line) => this.inline(line, dialect)).join("<br>")}</p>`, next: end };
  }

  #starts(lines, at, dialect) {
    const line = lines[at];
    if (/^\s*(`{3,}|~{3,}|>|&gt;)/.test(line) || this.#item(line)) return true;
    return dialect === "markdown" && (/^#{1,6}\s/.test(line) || this.#table(lines, at) !== null);
  }

  inline(text, dialect) {
    const stash = new Stash();
    let rest = text.replace(/(`+)([^`]|[^`].*?[^`])\1(?!`)/g, (_, __, code) => stash.put(`<code>${escape(decode(code))}</code>`));
    rest = rest.replace(/<([@#!]?)([^<>|\s][^<>|]*)(?:\|([^<>]*))?>/g, (all, kind, target, label) => this.#token(stash, all, kind, target, label));
    if (dialect === "markdown") {
      rest = rest.replace(/!?\[((?:[^[\]]|\[[^[\]]*\])*)\]\(\s*<?([^\s)<>]+)>?(?:\s+"[^"]*")?\s*\)/g, (all, label, url) => {
        const safe = safeUrl(decode(url));
        return safe ? stash.put(this.#link(safe, this.#emphasis(this.#text(label), dialect))) : all;
      });
      rest = rest.replace(/\\([\\`*_{}[\]()#+\-.!~|>])/g, (_, c) => stash.put(escape(c)));
    }
    rest = rest.replace(/\bhttps?:\/\/[^\s<>"'\uE000\uE001]*[^\s<>"'.,;:!?)\]\uE000\uE001]/g, (url) => stash.put(this.#link(decode(url), escape(decode(url)))));
    return stash.restore(this.#emphasis(this.#text(rest), dialect));
  }

  #text(text) {
    return escape(decode(text)).replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);
  }

  #token(stash, all, kind, target, label) {
    if (kind === "@") return stash.put(this.#mention(`@${this.names.user(target) ?? label ?? target}`, target === this.names.me()));
    if (kind === "#") return stash.put(this.#mention(`#${this.names.channel(target) ?? label ?? target}`));
    if (kind === "!") {
      if (target.startsWith("subteam^")) return stash.put(this.#mention(`@${this.names.group(target.slice(8)) ?? label ?? target}`));
      if (target.startsWith("date^")) return stash.put(escape(label ?? target));
      return stash.put(this.#mention(`@${target}`, true));
    }
    const url = safeUrl(decode(target));
    return url ? stash.put(this.#link(url, this.#text(label ?? url.replace(/^mailto:/, "")))) : all;
  }

  #mention(text, loud = false) {
    return `<span class="mention${loud ? " mention-me" : ""}">${escape(text)}</span>`;
  }

  #link(url, inner) {
    return `<a href="${escape(url)}" target="_blank" rel="noopener noreferrer">${inner}</a>`;
  }

  #emphasis(html, dialect) {
    if (dialect === "markdown") {
      return html
        .replace(/\*\*\*(?=\S)(.+?)(?<=\S)\*\*\*/g, "<strong><em>$1</em></strong>")
        .replace(/(\*\*|__)(?=\S)(.+?)(?<=\S)\1/g, "<strong>$2</strong>")
        .replace(/(?<![\w*])\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?![\w*])/g, "<em>$1</em>")
        .replace(/(?<![\w_])_(?=[^\s_])(.+?)(?<=[^\s_])_(?![\w_])/g, "<em>$1</em>")
        .replace(/~~(?=\S)(.+?)(?<=\S)~~/g, "<del>$1</del>");
    }
    return html
      .replace(/(?<![\w*])\*(?=[^\s*])([^*]+?)(?<=\S)\*(?![\w*])/g, "<strong>$1</strong>")
      .replace(/(?<![\w_])_(?=[^\s_])([^_]+?)(?<=\S)_(?![\w_])/g, "<em>$1</em>")
      .replace(/(?<![\w~])~(?=[^\s~])([^~]+?)(?<=\S)~(?![\w~])/g, "<del>$1</del>");
  }
}
