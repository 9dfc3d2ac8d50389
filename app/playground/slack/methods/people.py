"""Users, user groups and the team."""

from app.playground.slack.arguments import page
from app.playground.slack.limits import TIER_2, TIER_3, TIER_4
from app.playground.slack.methods.registry import Call, method
from app.playground.slack.records import Json, User
from app.playground.slack.refusal import SlackRefusal


@method("users.info", TIER_4, "users:read", arguments="user include_locale")
def users_info(call: Call) -> Json:
    user = call.workspace.user(call.arguments.required("user"))
    return {"user": _shown(call, user)}


@method("users.list", TIER_2, "users:read", arguments="cursor limit include_locale team_id")
def users_list(call: Call) -> Json:
    workspace = call.workspace
    home = [user for user in workspace.users.values() if user.team_id == workspace.team.id]
    shown, rest = page(home, call.arguments)
    members = [_shown(call, user) for user in shown]
    return {"members": members, "cache_ts": int(workspace.clock()), "response_metadata": rest}


@method("users.lookupByEmail", TIER_3, "users:read.email", arguments="email")
def users_lookup_by_email(call: Call) -> Json:
    """Of this workspace's members; one who was deactivated is not found."""
    wanted = call.arguments.required("email").casefold()
    for user in call.workspace.users.values():
        known = user.email.casefold() == wanted and user.team_id == call.workspace.team.id
        if known and not user.deleted:
            return {"user": _shown(call, user)}
    raise SlackRefusal("users_not_found")


def _shown(call: Call, user: User) -> Json:
    """Addresses need a scope of their own: https://docs.slack.dev/reference/scopes/users.read.email"""
    body = user.as_json(call.workspace.team.id)
    if "users:read.email" not in call.workspace.scopes:
        body["profile"].pop("email", None)
    return body


@method(
    "usergroups.list",
    TIER_2,
    "usergroups:read",
    arguments="include_count include_disabled include_users team_id",
)
def usergroups_list(call: Call) -> Json:
    shown = []
    for group in call.workspace.groups.values():
        body = group.as_json(call.workspace.team.id)
        if not call.arguments.flag("include_count"):
            del body["user_count"]
        if call.arguments.flag("include_users"):
            body["users"] = list(group.users)
        shown.append(body)
    return {"usergroups": shown}


@method("usergroups.users.list", TIER_2, "usergroups:read", arguments="usergroup include_disabled team_id")
def usergroups_users(call: Call) -> Json:
    group = call.workspace.groups.get(call.arguments.required("usergroup"))
    if group is None:
        raise SlackRefusal("no_such_subteam")
    return {"users": list(group.users)}


@method("team.info", TIER_3, "team:read", arguments="team domain")
def team_info(call: Call) -> Json:
    team = call.workspace.teams.get(call.arguments.text("team") or call.workspace.team.id)
    if team is None:
        raise SlackRefusal("team_not_found")
    return {"team": team.as_json()}
