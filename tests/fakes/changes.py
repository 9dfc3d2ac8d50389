"""Argo CD and GitHub on the wire, as far as changes are read from them.

Shaped after argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/ and docs.github.com/en/rest
(`GET /repos/{owner}/{repo}/compare/{basehead}`, `/commits`, `/pulls`).
"""

from __future__ import annotations

from typing import Any

from tests.fakes.sources import Answer, Asked, SourceServer


def sha(letter: str) -> str:
    return letter * 40


def application(name: str, *history: tuple[str, str], **more: Any) -> dict[str, Any]:
    """`history` are (revision, time); `labels`, `images`, `operation` and `repo` are optional."""
    repo = more.get("repo", f"https://localhost/acme/{name}.git")
    entries = [
        {
            "id": number,
            "revision": revision,
            "deployedAt": at,
            "initiatedBy": {"automated": True},
            "source": {"repoURL": repo, "path": "deploy", **more.get("source", {})},
        }
        for number, (revision, at) in enumerate(history)
    ]
    return {
        "metadata": {"name": name, "namespace": "argocd", "labels": more.get("labels", {})},
        "spec": {"project": "default"},
        "status": {
            "history": entries,
            "health": {"status": "Healthy"},
            "summary": {"images": more.get("images", [])},
            "operationState": more.get("operation", {}),
        },
    }


class FakeArgoCd(SourceServer):
    """`applications` as listed; `commits` by revision are the answers about their metadata."""

    def __init__(self, *applications: dict[str, Any]) -> None:
        super().__init__({"/api/v1/applications": self._list, "/api/v1/applicationsets": self._sets})
        self.applications = list(applications)
        self.sets: list[dict[str, Any]] = []
        self.commits: dict[str, dict[str, Any]] = {}

    def _list(self, asked: Asked) -> Answer:
        return Answer({"metadata": {}, "items": self.applications or None})

    def _sets(self, asked: Asked) -> Answer:
        return Answer({"metadata": {}, "items": self.sets})

    def found(self, asked: Asked) -> Answer | None:
        for revision, commit in self.commits.items():
            if asked.raw_path.endswith(f"/revisions/{revision}/metadata"):
                return Answer(commit)
        return None


def commit(letter: str, at: str, message: str, login: str | None = "maya") -> dict[str, Any]:
    return {
        "sha": sha(letter),
        "html_url": f"https://localhost/acme/checkout/commit/{sha(letter)}",
        "commit": {
            "message": message,
            "author": {"name": "Maya L", "email": "maya@acme.example", "date": at},
            "committer": {"name": "GitHub", "date": at},
        },
        "author": {"login": login} if login else None,
    }


class FakeGitHub(SourceServer):
    """One repo, `acme/checkout`: its commits oldest first, the files of a comparison, those that each commit
    touches (by its id), and its pull requests."""

    def __init__(self, *commits: dict[str, Any]) -> None:
        super().__init__()
        self.commits = list(commits)
        self.files: list[dict[str, Any]] = []
        self.pulls: list[dict[str, Any]] = []
        self.touched: dict[str, list[dict[str, Any]]] = {}
        self.without_pulls = False

    @property
    def url(self) -> str:
        return super().url.replace("127.0.0.1", "localhost")

    def found(self, asked: Asked) -> Answer | None:
        if not asked.raw_path.startswith("/repos/acme/checkout/"):
            return Answer({"message": "Not Found"}, status=404)
        if "/compare/" in asked.raw_path:
            return Answer(
                {
                    "html_url": "https://localhost/acme/checkout/compare/x",
                    "total_commits": len(self.commits),
                    "commits": self.commits,
                    "files": self.files,
                }
            )
        if asked.raw_path.endswith("/pulls"):
            return Answer({"message": "Forbidden"}, status=403) if self.without_pulls else Answer(self.pulls)
        if "/commits/" in asked.raw_path:
            files = self.touched.get(asked.raw_path.rpartition("/")[2])
            return Answer("boom", status=500) if files is None else Answer({"files": files})
        return Answer(self.commits[::-1]) if asked.raw_path.endswith("/commits") else None
