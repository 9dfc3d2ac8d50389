"""What a service's repo and blueprint say that a README needs: what it is for, how it is run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.context.models import Service, Source
from app.errors import AgentError
from app.workflows.facts import Asked, Found
from app.workflows.wants import pages
from app.workflows.wants.answers import known
from app.workflows.wants.reads import Reads, sources

TARGET = re.compile(r"^([a-zA-Z][\w-]*):(?![=])", re.MULTILINE)
MARKS = {
    "go.mod": ("Go", "go run ./...", "go test ./..."),
    "package.json": ("JavaScript or TypeScript", "npm start", "npm test"),
    "pyproject.toml": ("Python", "python -m {name}", "pytest"),
    "build.gradle.kts": ("Kotlin", "./gradlew run", "./gradlew test"),
    "build.gradle": ("Java", "./gradlew run", "./gradlew test"),
    "pom.xml": ("Java", "mvn spring-boot:run", "mvn test"),
    "Cargo.toml": ("Rust", "cargo run", "cargo test"),
}
MOST_SHOWN = 30


def means(names: Sequence[str], makefile: str, service: str) -> dict[str, str]:
    """Language, and how it is run and tested, by the files at the top of a repo; make comes first."""
    found: dict[str, str] = {}
    for mark, (language, run, test) in MARKS.items():
        if mark in names:
            found = {"language": language, "run": run.replace("{name}", service), "test": test}
            break
    targets = TARGET.findall(makefile)
    for key, wanted in (("run", ("run", "start", "dev", "serve")), ("test", ("test", "check"))):
        if target := next((each for each in wanted if each in targets), None):
            found[key] = f"make {target}"
    return found


@dataclass(frozen=True)
class Repository:
    """The want `repo`."""

    reads: Reads

    async def repo(self, asked: Asked) -> Found:
        service = self.reads.service(asked)
        if service is None:
            return Found()
        page, blueprint = self.reads.page(service)
        names, makefile, source, notice = await self._top(service)
        value: dict[str, Any] = {
            **means(names, makefile, service.name),
            "purpose": next(iter(pages.sentences(page)), None),
            "files": [each for each in names if not each.startswith(".")][:MOST_SHOWN] or None,
            "has_readme": any(each.lower().startswith("readme") for each in names) or None,
            "endpoints": pages.section(page, "endpoint", "interface", "api") or None,
            "deploy": pages.about(page, "rollback", "release", "deploy") or None,
            "needs": pages.section(page, "dependenc") or None,
            "blueprint": blueprint.url or blueprint.path if blueprint else None,
        }
        return Found(known(value), sources(blueprint, source), notice)

    async def _top(self, service: Service) -> tuple[list[str], str, Source | None, str | None]:
        """The names at the top of the repo, its Makefile, and why there is nothing."""
        if self.reads.repos is None:
            return [], "", None, None
        try:
            top = await self.reads.repos.page(service, "")
        except AgentError as error:
            return [], "", None, f"I could not look into the repo: {error.sentence}"
        names = top.text.splitlines()
        makefile = ""
        if "Makefile" in names:
            try:
                makefile = (await self.reads.repos.page(service, "Makefile")).text
            except AgentError:
                makefile = ""  # what is run is asked then
        return names, makefile, top.source, top.notice
