// The page: a workspace in the browser, kept up to date by one event stream.

import { Blocks } from "./blocks.js";
import { Composer } from "./composer.js";
import { Markup, emoji } from "./markup.js";
import { Modal } from "./modal.js";
import { byId, clock, day, h, prose, size } from "./dom.js";
import { drawnEmoji, icon } from "./icons.js";
import { Pager } from "./pager.js";

const QUICK = ["+1", "eyes", "white_check_mark"];

const state = {
  team: null, agent: "", users: new Map(), groups: new Map(), channels: new Map(), hints: [],
  messages: new Map(), sessions: new Map(), statuses: new Map(), unread: new Map(),
  me: "", channel: "", thread: null, paged: "", editing: null, previews: new Map(), expanded: new Set(),
};

const names = {
  user: (id) => state.users.get(id)?.name, group: (id) => state.groups.get(id)?.handle,
  channel: (id) => state.channels.get(id)?.name, me: () => state.me,
};
const markup = new Markup(names);
const blocks = new Blocks(markup, (message, block, element, value) => post("click", { user: state.me, ts: message.ts, action_id: element.action_id, value }), {
  users: () => people(), channels: () => [...state.channels.values()].filter((channel) => !channel.is_im),
});
const modal = new Modal({ dialog: byId("modal"), markup, blocks, post });
const pager = new Pager({ dialog: byId("pager"), pageButton: byId("page-me"), overButton: byId("over"), post, waitIn: (channel) => {
  state.paged = channel;
  if (channel) open(channel);
} });

// --- talking to the server ------------------------------------------------------------------------------

async function post(action, body) {
  const response = await fetch(`/playground/${action}`, { method: "POST", body: JSON.stringify(body) }).catch(() => null);
  if (!response) return toast("The playground does not answer.");
  const answer = await response.json();
  return answer.ok ? answer : toast(`Refused: ${answer.error}`);
}

function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => (element.hidden = true), 4000);
  return null;
}

async function load() {
  const body = await (await fetch("/playground/state")).json();
  state.team = body.team;
  state.agent = body.agent;
  state.hints = body.hints;
  state.users = new Map(body.users.map((user) => [user.id, user]));
  state.groups = new Map(body.usergroups.map((group) => [group.id, group]));
  state.channels = new Map(body.channels.map((channel) => [channel.id, channel]));
  state.sessions = new Map(body.sessions.map((each) => [key(each), each]));
  state.statuses = new Map(body.statuses.map((each) => [key(each), each]));
  state.me ||= people()[0].id;
  state.channel ||= [...state.channels.keys()][0];
  document.title = `${state.team.name} · playground`;
  byId("team-name").textContent = state.team.name;
  await Promise.all([...state.channels.keys()].map(loadChannel));
  if (state.hints.some((hint) => hint.pager)) await pager.load();
  drawHints();
  drawAll();
}

async function loadChannel(id) {
  const body = await (await fetch(`/playground/channels/${id}`)).json();
  state.messages.set(id, new Map(body.messages.map((message) => [message.ts, message])));
}

// Done once the stream is open: what is read after that misses nothing.
function listen() {
  const source = new EventSource("/playground/live");
  source.onmessage = (event) => apply(JSON.parse(event.data));
  return new Promise((done) => {
    let before = false;
    source.onopen = () => {
      byId("connection").textContent = "";
      // What was said while the stream was away has to be read again.
      if (before) load();
      before = true;
      done();
    };
    source.onerror = () => ((byId("connection").textContent = "reconnecting…"), done());
  });
}

function apply({ kind, channel, item }) {
  if (kind === "message" || kind === "ephemeral") {
    if (!state.channels.has(channel)) return void load();
    const known = state.messages.get(channel);
    // It came while the page was still reading the channel: what was read may be without it.
    if (!known) return void loadChannel(channel).then(drawAll);
    const fresh = !known.has(item.ts);
    known.set(item.ts, item);
    if (fresh) noteUnread(channel, item);
    // Whoever was paged is led to the thread as soon as there is one.
    if (fresh && state.paged === channel && item.user === state.agent && !isReply(item)) {
      state.paged = "";
      return open(channel, item.ts);
    }
    drawMessage(channel, item, fresh);
  } else if (kind === "removed") {
    state.messages.get(channel)?.delete(item.ts);
    drawPanes();
  } else if (kind === "session") {
    state.sessions.set(key(item), item);
    drawWork(item);
  } else if (kind === "status") {
    state.statuses.set(key(item), item);
    drawWork(item);
  } else if (kind === "view" && item.user === state.me && item.type === "modal") {
    if (item.open) modal.show(item);
    else modal.hide(item);
  }
}

const key = (each) => `${each.channel}/${each.thread_ts}`;
const people = () => [...state.users.values()].filter((user) => !user.is_bot);
const listOf = (channel) => [...(state.messages.get(channel)?.values() ?? [])]
  .filter((message) => !message.visible_to || message.visible_to === state.me)
  .sort((a, b) => (a.ts < b.ts ? -1 : 1));
const rootOf = (message) => message.thread_ts ?? message.ts;
const isReply = (message) => message.thread_ts && message.thread_ts !== message.ts;

function noteUnread(channel, item) {
  if (channel === state.channel || item.user === state.me) return;
  state.unread.set(channel, (state.unread.get(channel) ?? 0) + 1);
  drawSidebar();
}

// --- sidebar and panes ----------------------------------------------------------------------------------

function drawAll() {
  drawSidebar();
  drawPanes();
}

function drawSidebar() {
  const entry = (channel, label, icon) => {
    const unread = state.unread.get(channel.id);
    return h("li", {}, h("button", {
      class: `channel${channel.id === state.channel ? " current" : ""}${unread ? " unread" : ""}`,
      "aria-current": channel.id === state.channel ? "page" : undefined, onclick: () => open(channel.id),
    }, icon, h("span", {}, label), unread && h("b", { class: "badge" }, String(unread))));
  };
  const all = [...state.channels.values()];
  byId("channels").replaceChildren(...all.filter((channel) => !channel.is_im).map((channel) => entry(channel, channel.name, h("i", {}, "#"))));
  const agent = state.users.get(state.agent);
  byId("dms").replaceChildren(...all.filter((channel) => channel.is_im && channel.user === state.me).map((channel) => entry(channel, agent.real_name, avatar(agent, "small"))));
  const actor = byId("actor");
  actor.replaceChildren(...people().map((user) => h("option", { value: user.id, selected: user.id === state.me }, user.real_name)));
  byId("actor-avatar").replaceWith(Object.assign(avatar(state.users.get(state.me)), { id: "actor-avatar" }));
}

function open(channel, thread = null) {
  state.channel = channel;
  state.thread = thread;
  state.editing = null;
  state.unread.delete(channel);
  byId("app").classList.remove("show-sidebar");
  if (thread) byId("hints-pane").hidden = true;
  drawAll();
  history.replaceState(null, "", `#${channel}${thread ? `/${thread}` : ""}`);
}

function drawPanes() {
  const channel = state.channels.get(state.channel);
  const title = channel.is_im ? state.users.get(state.agent).real_name : channel.name;
  byId("channel-name").replaceChildren(channel.is_im ? avatar(state.users.get(state.agent), "small") : h("i", {}, "#"), title);
  byId("channel-topic").textContent = channel.is_im ? state.users.get(state.agent).profile.title : (channel.topic?.value ?? "");
  composer.label(channel.is_im ? `Message ${title}` : `Message #${title}`);
  drawList(byId("messages"), listOf(state.channel).filter((message) => !isReply(message)), false);
  drawThread();
}

function drawThread() {
  const pane = byId("thread-pane");
  const thread = state.thread && listOf(state.channel).filter((message) => rootOf(message) === state.thread);
  pane.hidden = !thread?.length;
  byId("app").classList.toggle("has-thread", !pane.hidden);
  byId("app").classList.toggle("has-hints", pane.hidden && !byId("hints-pane").hidden);
  byId("show-hints").hidden = !state.hints.length || (!byId("hints-pane").hidden && pane.hidden);
  if (pane.hidden) return;
  const channel = state.channels.get(state.channel);
  byId("thread-channel").textContent = channel.is_im ? "Direct message" : `#${channel.name}`;
  drawList(byId("thread"), thread, true);
  drawStatus();
}

function drawList(list, messages, inThread) {
  const of = `${state.channel}/${inThread ? state.thread : ""}`;
  // Whoever writes wants to see it and what is answered, wherever they had read.
  const mine = messages.at(-1)?.user === state.me && messages.at(-1).ts > (list.dataset.last ?? "");
  const stick = mine || list.scrollHeight - list.scrollTop - list.clientHeight < 80 || list.dataset.of !== of;
  list.dataset.of = of;
  list.dataset.last = messages.at(-1)?.ts ?? "";
  const rows = [];
  let before = null;
  for (const message of messages) {
    if (!before || day(before.ts) !== day(message.ts)) if (!inThread) rows.push(h("div", { class: "day" }, h("span", {}, day(message.ts))));
    rows.push(row(message, inThread, follows(before, message)));
    if (inThread && message.ts === state.thread) {
      const count = messages.filter((each) => !each.visible_to).length - 1;
      rows.push(h("div", { class: "replies-rule" }, h("span", {}, count === 1 ? "1 reply" : `${count} replies`)));
    }
    before = inThread && message.ts === state.thread ? null : message;
  }
  if (!messages.length) rows.push(welcome());
  list.replaceChildren(...rows);
  if (stick) showEnd(list);
}

// The end of the list, or the beginning of a last message that does not fit: nobody reads upwards.
function showEnd(list) {
  list.scrollTop = list.scrollHeight;
  const last = list.lastElementChild;
  if (last && !last.classList.contains("streaming") && last.offsetHeight > list.clientHeight) list.scrollTop -= last.offsetHeight - list.clientHeight;
}

// What is as long as a brief begins with its writer and time: one sees where the one before it ends.
function follows(before, message) {
  return before && (message.blocks ?? []).length < 3 && before.user === message.user && !before.reply_count && message.ts - before.ts < 300 && !message.visible_to && before.visible_to === message.visible_to;
}

function welcome() {
  const channel = state.channels.get(state.channel);
  const agent = state.users.get(state.agent);
  return h("div", { class: "welcome" }, avatar(agent, "large"), h("h2", {}, channel.is_im ? `You and ${agent.real_name}` : `#${channel.name}`),
    h("p", {}, channel.is_im ? "Ask anything; there is no need to mention it here." : h("span", {}, "Write ", h("code", {}, `@${agent.name}`), " and ask something. The answer comes in a thread.")));
}

// One changed message redraws its own rows alone, so a stream of updates stays cheap and keeps the scroll.
function drawMessage(channel, message, fresh) {
  if (channel !== state.channel) return;
  const rows = [...document.querySelectorAll(`[data-ts="${message.ts}"]`)];
  const threadShown = state.thread === rootOf(message);
  const newRow = fresh || !rows.length;
  if (newRow && (!isReply(message) || threadShown)) return void drawPanes();
  for (const old of rows) {
    const list = old.closest(".messages");
    const stick = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    old.replaceWith(row(message, list.id === "thread", old.classList.contains("follows")));
    if (stick) list.scrollTop = list.scrollHeight;
  }
}

function drawWork(item) {
  if (item.channel !== state.channel) return;
  if (item.thread_ts === state.thread) drawStatus();
  const root = state.messages.get(item.channel)?.get(item.thread_ts);
  if (root) drawMessage(item.channel, root, false);
}

function drawStatus() {
  const bar = byId("thread-status");
  const where = `${state.channel}/${state.thread}`;
  const session = state.sessions.get(where);
  const working = session?.status === "processing";
  // What the agent calls its work says nothing about the thread once that work is done.
  byId("thread-title").textContent = (working && session.title) || "Thread";
  const text = state.statuses.get(where)?.text;
  const agent = state.users.get(state.agent).real_name;
  bar.hidden = !working && !text;
  bar.replaceChildren(h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span", {}, text ? `${agent} ${text}` : `${agent} is working`),
    working && h("button", { class: "stop", onclick: () => post("stop", { user: state.me, channel: state.channel, thread_ts: state.thread }) }, "■ Stop"));
}

function drawHints() {
  byId("hints").replaceChildren(...state.hints.map((hint) => h("li", {}, h("button", { class: "hint", onclick: () => useHint(hint) },
    h("strong", {}, hint.title), hint.why && h("span", {}, hint.why), hint.text && h("code", {}, hint.text)))));
  byId("hints-pane").hidden = !state.hints.length || innerWidth < 1180;
}

function useHint(hint) {
  if (hint.pager) return pager.show();
  const inThread = hint.thread && state.thread;
  if (hint.channel && !inThread) open(hint.channel);
  (inThread ? threadComposer : composer).fill(hint.text);
}

// --- messages -------------------------------------------------------------------------------------------

function avatar(user, kind = "") {
  if (user?.is_bot) return h("img", { class: `avatar ${kind}`, src: "agent.svg", alt: "" });
  const name = user?.real_name ?? "?";
  const element = h("span", { class: `avatar ${kind}`, "aria-hidden": "true" }, name.split(/\s+/).map((part) => part[0]).slice(0, 2).join("").replace(/[^\p{L}]/gu, ""));
  element.style.setProperty("--hue", [...(user?.id ?? "")].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) % 360, 7));
  return element;
}

function row(message, inThread, following) {
  const user = state.users.get(message.user);
  const own = message.user === state.me;
  const head = h("div", { class: "message-head" }, h("strong", {}, message.username ?? user?.real_name ?? message.user),
    user?.is_bot && h("span", { class: "tag" }, "app"), user?.is_restricted && h("span", { class: "tag" }, "guest"),
    user?.is_stranger && h("span", { class: "tag" }, "other workspace"), h("time", {}, clock(message.ts)));
  const body = h("div", { class: "message-body" }, following ? null : head, message.visible_to && h("div", { class: "only-you" }, icon("eye"), " Only visible to you"), content(message),
    files(message), reactions(message), inThread ? null : summary(message));
  return h("article", {
    class: `message${following ? " follows" : ""}${message.visible_to ? " ephemeral" : ""}${message.streaming ? " streaming" : ""}${user?.is_bot ? " by-agent" : ""}`,
    dataset: { ts: message.ts }, tabindex: "-1",
  }, following ? h("time", { class: "side-time" }, clock(message.ts)) : avatar(user), body, message.visible_to ? null : tools(message, own, inThread));
}

function content(message) {
  if (state.editing === message.ts) return editor(message);
  const edited = message.edited && h("span", { class: "edited" }, "(edited)");
  const typed = message.bot_id ? (message.blocks ?? []) : [];
  const inside = typed.length ? blocks.render(typed, message) : message.text ? [prose(markup.mrkdwn(message.text))] : [];
  if (message.streaming) (lastText(inside) ?? inside[inside.push(prose("<p></p>")) - 1]).append(h("span", { class: "caret", "aria-hidden": "true" }));
  if (edited) (lastText(inside) ?? inside.at(-1))?.append(" ", edited);
  return h("div", { class: "content" }, inside);
}

// The last paragraph at the end of a message, in a section or small print too; null below anything else.
function lastText(inside) {
  const last = inside.at(-1);
  if (!last?.matches(".prose, .section, .context")) return null;
  const text = [last, ...last.querySelectorAll(".prose")].filter((each) => each.matches(".prose")).at(-1) ?? last;
  const inner = [...text.querySelectorAll("p, li, h3, h4, h5, h6, td")].at(-1);
  return inner ?? text;
}

function editor(message) {
  const box = h("textarea", { class: "edit-box", "aria-label": "Edit message" }, plainText(message.text));
  const done = () => ((state.editing = null), drawPanes());
  const save = async () => {
    await post("edit", { user: state.me, channel: message.channel, ts: message.ts, text: encode(box.value) });
    done();
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey) (event.preventDefault(), save());
    if (event.key === "Escape") (event.stopPropagation(), done());
  });
  setTimeout(() => box.focus());
  return h("div", { class: "editor" }, box, h("div", { class: "actions" }, h("button", { class: "button", onclick: done }, "Cancel"), h("button", { class: "button primary", onclick: save }, "Save")));
}

function files(message) {
  if (!message.files?.length) return null;
  return h("div", { class: "files" }, message.files.map((file) => {
    const url = `/playground/files/${file.id}/${encodeURIComponent(file.name)}`;
    const preview = file.mimetype.startsWith("image/") ? h("img", { class: "file-image", src: url, alt: file.title }) : file.mimetype.startsWith("text/") || /json|yaml/.test(file.mimetype) ? textPreview(file, url) : null;
    return h("div", { class: "file" }, h("div", { class: "file-head" }, h("span", { class: "file-icon" }, (file.filetype || "file").slice(0, 4)),
      h("div", {}, h("strong", {}, file.title), h("small", {}, `${file.name} · ${size(file.size)}`)),
      h("a", { class: "button", href: `${url}?download`, download: file.name, "aria-label": `Download ${file.name}` }, "Download")), preview);
  }));
}

function textPreview(file, url) {
  const code = h("code", {});
  const box = h("pre", { class: `file-preview${state.expanded.has(file.id) ? " expanded" : ""}` }, code);
  const more = h("button", { class: "file-more", hidden: true, onclick: () => {
    const now = box.classList.toggle("expanded");
    if (now) state.expanded.add(file.id);
    else state.expanded.delete(file.id);
    more.textContent = now ? "Show less" : "Show all";
  } }, state.expanded.has(file.id) ? "Show less" : "Show all");
  const show = (text) => {
    code.textContent = text;
    more.hidden = text.split("\n").length <= 8;
  };
  if (state.previews.has(file.id)) show(state.previews.get(file.id));
  else fetch(url).then((response) => response.text()).then((text) => (state.previews.set(file.id, text), show(text)));
  return h("div", {}, box, more);
}

function reactions(message) {
  if (!message.reactions?.length) return null;
  return h("div", { class: "reactions" }, message.reactions.map(({ name, users, count }) => h("button", {
    class: `reaction${users.includes(state.me) ? " mine" : ""}`, title: `${users.map((id) => names.user(id) ?? id).join(", ")} · :${name}:`,
    onclick: () => post("react", { user: state.me, channel: message.channel, ts: message.ts, name }),
  }, h("span", {}, drawnEmoji(name) ?? emoji(name)), h("b", {}, String(count)))));
}

function summary(message) {
  const working = state.sessions.get(`${message.channel}/${message.ts}`)?.status === "processing";
  if (!message.reply_count && !working) return null;
  const faces = (message.reply_users ?? []).slice(0, 3).map((id) => avatar(state.users.get(id), "tiny"));
  const count = message.reply_count ?? 0;
  return h("button", { class: "thread-link", onclick: () => open(message.channel, message.ts) }, faces, count ? h("b", {}, count === 1 ? "1 reply" : `${count} replies`) : null,
    working ? h("span", { class: "working" }, h("span", { class: "dots" }, h("i"), h("i"), h("i")), " working") : h("span", { class: "last" }, `last at ${clock(message.latest_reply)}`));
}

function tools(message, own, inThread) {
  const target = { user: state.me, channel: message.channel, ts: message.ts };
  const button = (label, text, onclick) => h("button", { class: "icon-button", "aria-label": label, title: label, onclick }, text);
  return h("div", { class: "tools", role: "toolbar", "aria-label": "Message actions" }, QUICK.map((name) => button(`React with ${name}`, drawnEmoji(name), () => post("react", { ...target, name }))),
    inThread ? null : button("Reply in thread", icon("reply"), () => (open(message.channel, rootOf(message)), threadComposer.focus())),
    own && button("Edit", icon("edit"), () => ((state.editing = message.ts), drawPanes())), own && button("Delete", icon("trash"), () => post("delete", target)));
}

// --- writing --------------------------------------------------------------------------------------------

// What people type becomes Slack's text: three characters escaped, names turned into ids.
function encode(text) {
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const byName = new Map([...state.users.values()].map((user) => [user.name, `<@${user.id}>`]));
  for (const group of state.groups.values()) byName.set(group.handle, `<!subteam^${group.id}>`);
  for (const channel of state.channels.values()) if (channel.name && !channel.is_im) byName.set(`#${channel.name}`, `<#${channel.id}>`);
  return escaped.replace(/(^|[\s(])([@#])([\w.-]*\w)/g, (all, before, mark, name) => {
    const id = byName.get(mark === "@" ? name : `#${name}`);
    return id ? before + id : all;
  });
}

function plainText(text) {
  return text.replace(/<@(\w+)>/g, (_, id) => `@${names.user(id) ?? id}`).replace(/<!subteam\^(\w+)>/g, (_, id) => `@${names.group(id) ?? id}`)
    .replace(/<#(\w+)>/g, (_, id) => `#${names.channel(id) ?? id}`).replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

function candidates() {
  const users = [...state.users.values()].map((user) => ({ name: user.name, label: user.real_name, avatar: () => avatar(user, "small"), bot: user.is_bot }));
  const groups = [...state.groups.values()].map((group) => ({ name: group.handle, label: group.name, avatar: () => h("span", { class: "avatar small" }, "@") }));
  return [...users.filter((user) => user.bot), ...users.filter((user) => !user.bot), ...groups];
}

async function upload(file) {
  const url = `/playground/files?user=${state.me}&name=${encodeURIComponent(file.name)}`;
  return (await (await fetch(url, { method: "POST", body: file })).json()).file.id;
}

async function say(text, files, thread) {
  const uploaded = await Promise.all(files.map(upload));
  const sent = await post("say", { user: state.me, channel: state.channel, text: encode(text), thread_ts: thread ?? undefined, files: uploaded });
  // Somebody who speaks to the agent wants to see its answer, which comes in the thread.
  const toAgent = state.channels.get(state.channel).is_im || encode(text).includes(`<@${state.agent}>`);
  if (sent && !thread && toAgent) {
    open(state.channel, sent.ts);
    threadComposer.focus();
  }
  return sent;
}

const composer = new Composer({ place: byId("composer"), label: "Message", candidates, send: (text, files) => say(text, files, null) });
const threadComposer = new Composer({ place: byId("thread-composer"), label: "Reply…", candidates, send: (text, files) => say(text, files, state.thread) });

document.querySelectorAll("[data-icon]").forEach((button) => button.append(icon(button.dataset.icon)));
byId("close-thread").onclick = () => open(state.channel);
byId("menu").onclick = () => byId("app").classList.toggle("show-sidebar");
byId("show-hints").onclick = () => ((byId("hints-pane").hidden = false), open(state.channel));
byId("close-hints").onclick = () => ((byId("hints-pane").hidden = true), drawThread());
byId("actor").onchange = (event) => {
  state.me = event.target.value;
  const channel = state.channels.get(state.channel);
  open(channel.is_im ? [...state.channels.keys()][0] : state.channel, channel.is_im ? null : state.thread);
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.thread && !document.querySelector("dialog[open]")) open(state.channel);
});

const [wanted, wantedThread] = location.hash.slice(1).split("/");
await listen();
await load();
if (state.channels.has(wanted)) open(wanted, wantedThread ?? null);
else open(state.channel);
composer.focus();
