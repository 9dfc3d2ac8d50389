"""Uploading files in three steps, and looking at them."""

from app.playground.slack import shapes
from app.playground.slack.limits import TIER_4
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Json
from app.playground.slack.refusal import SlackRefusal


@method("files.getUploadURLExternal", TIER_4, "files:write", arguments="filename length alt_txt snippet_type")
def upload_url(call: Call) -> Json:
    given = call.arguments
    name, length = given.required("filename"), given.required("length")
    if not length.isdigit() or int(length) == 0:
        raise SlackRefusal("invalid_arguments", "[ERROR] length must be a positive number")
    item, url = call.desk.files.ticket(name, int(length))
    return {"upload_url": url, "file_id": item.id}


@method(
    "files.completeUploadExternal",
    TIER_4,
    "files:write",
    arguments="files channel_id channels thread_ts initial_comment blocks",
)
def complete_upload(call: Call) -> Json:
    given, workspace = call.arguments, call.workspace
    wanted = given.json("files")
    if not isinstance(wanted, list) or not wanted:
        raise SlackRefusal("invalid_arguments", "[ERROR] missing required field: files")
    found = []
    for each in wanted:
        item = call.desk.files.find(each.get("id", ""))
        item.title = each.get("title") or item.name
        found.append(item)
    named = given.text("channels") or given.text("channel_id") or ""
    channels = [workspace.joined_channel(name) for name in named.split(",") if name]
    thread_ts = given.text("thread_ts") or None
    if thread_ts and len(channels) > 1:
        raise SlackRefusal("invalid_arguments", "[ERROR] thread_ts needs exactly one channel")
    call.desk.files.share(found, channels, thread_ts, given.text("initial_comment") or "")
    return {"files": [shapes.file(workspace, item) for item in found]}


@method("files.info", TIER_4, "files:read", arguments="file count page cursor limit")
def file_info(call: Call) -> Json:
    item = call.desk.files.find(call.arguments.required("file"))
    return {
        "file": shapes.file(call.workspace, item),
        "comments": [],
        "response_metadata": {"next_cursor": ""},
    }
