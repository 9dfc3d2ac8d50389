"""Who am I, and where do I connect."""

from app.playground.slack.limits import SPECIAL, TIER_1
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Json
from app.playground.slack.refusal import SlackRefusal


@method("api.test", SPECIAL, arguments="error foo", token="none")
def api_test(call: Call) -> Json:
    if call.arguments.text("error"):
        raise SlackRefusal(call.arguments.required("error"))
    return {"args": call.arguments.values}


@method("auth.test", SPECIAL)
def auth_test(call: Call) -> Json:
    workspace = call.workspace
    return {
        "url": f"https://{workspace.team.domain}.slack.com/",
        "team": workspace.team.name,
        "user": workspace.agent.name,
        "team_id": workspace.team.id,
        "user_id": workspace.agent.id,
        "bot_id": workspace.bot_id,
        "is_enterprise_install": False,
    }


@method("apps.connections.open", TIER_1, token="app")
def connections_open(call: Call) -> Json:
    return {"url": call.desk.open_socket()}
