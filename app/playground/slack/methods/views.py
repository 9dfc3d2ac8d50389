"""Modals and the home tab."""

from app.playground.slack.interactions import view_json
from app.playground.slack.limits import TIER_4
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Json


@method("views.open", TIER_4, arguments="trigger_id interactivity_pointer view")
def open_view(call: Call) -> Json:
    given = call.arguments
    view = call.desk.interactions.open_view(given.required("trigger_id"), given.json("view"))
    return {"view": view_json(call.workspace, view)}


@method("views.update", TIER_4, arguments="view view_id external_id hash")
def update_view(call: Call) -> Json:
    given = call.arguments
    view = call.desk.interactions.update_view(
        given.required("view_id"), given.text("hash"), given.json("view")
    )
    return {"view": view_json(call.workspace, view)}


@method("views.publish", TIER_4, arguments="user_id view hash")
def publish_view(call: Call) -> Json:
    given = call.arguments
    view = call.desk.interactions.publish_view(given.required("user_id"), given.json("view"))
    return {"view": view_json(call.workspace, view)}
