"""The parts of the program that answer and look into things: tools, the model's loop, workflows, stages.

Most of what there is to import is for these alone, and no start waits for it (`app.later`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, partial

from app.agent.budget import PostgresBudget, WindowLimits
from app.agent.compaction import CompactionLimits
from app.agent.failures import Backoff
from app.agent.prices import Prices
from app.agent.reader import Reader
from app.agent.run import Means
from app.agent.tally import RunLimits
from app.context.addresses import of_service
from app.context.blueprints import Blueprints
from app.context.library import Library
from app.context.repos import Repos
from app.context.runbook_shelf import RunbookShelf
from app.conversations.analyst import Analyst
from app.conversations.courier import Courier
from app.conversations.drafts import Drafts
from app.conversations.guide import Guide
from app.conversations.results import StoredResults
from app.errors import AgentError
from app.investigations.chart import drawn
from app.investigations.diagnose import Diagnoser
from app.investigations.drafting import Postmortems
from app.investigations.evidence import Gap
from app.investigations.gather import Gatherer, Sources
from app.investigations.history import History, OnCall
from app.investigations.look import WAITS_FOR, Looker
from app.investigations.means import DiagnoseMeans
from app.investigations.models import Investigation
from app.investigations.questions import Signals, signals_of
from app.investigations.recall import Recall
from app.investigations.surface import IncidentSurface
from app.investigations.updating import Updater
from app.investigations.wrapping import Wrapping
from app.shared import Shared
from app.sources.clients import Clients
from app.sources.cluster_rollouts import ClusterRollouts
from app.sources.commits import Commits
from app.sources.rollouts import Rollouts
from app.sources.tickets import Tickets
from app.tools.catalogue import discover
from app.tools.channel_history import Channels
from app.tools.masking import mask
from app.workflows.wants.every import lookups
from app.workflows.wants.reads import Reads


@dataclass(frozen=True)
class ToolParts(Clients):
    """What tools are made from; a tool takes what it needs and is not offered without it."""

    library: Library | None = None
    repos: Repos | None = None
    runbooks: RunbookShelf | None = None
    results: StoredResults | None = None
    history: History | None = None
    channels: Channels | None = None
    on_call_policy: str | None = None
    blueprints: Callable[[], Blueprints] | None = None


@dataclass(frozen=True)
class Stages:
    """The handlers of an investigation's jobs."""

    looker: Looker
    diagnoser: Diagnoser
    updater: Updater


@dataclass(frozen=True)
class Parts(Shared):
    """Everything that answers and investigates, whatever place it is shown in."""

    # -- conversations ---------------------------------------------------------------------------------------

    def analyst(self, means: Means) -> Analyst:
        budgets = self.settings.budgets
        return Analyst(
            library=self.library,
            means=means,
            limits=RunLimits(
                tool_calls=budgets.max_tool_calls_conversation,
                model_turns=budgets.max_model_turns,
                usd=Decimal(str(budgets.usd_per_run)),
            ),
            tool_result_bytes=budgets.tool_result_bytes,
            model=self.models.fast if self.models else None,
            compaction=CompactionLimits(budgets.compaction_threshold_tokens, budgets.compaction_keep_recent),
            about=Recall(self.engine).about,
        )

    def drafts(self) -> Drafts:
        return Postmortems(self.engine)

    def courier(self) -> Courier:
        git = self.settings.git
        return Courier(
            self.engine,
            self.settings.delivery,
            git.github_api_url,
            lambda: self.library.catalog,
            git.knowledge_repo_url,
            self.link,
        )

    def guide(self, means: Means) -> Guide:
        fast = self.models.fast if self.models else None
        reader = Reader(fast, means.budget, means.prices) if fast else None
        return Guide(
            self.keeper,
            self.library,
            lookups(self._reads()),
            reader=reader,
            link=self.link,
            elsewhere=self.courier().offers,
        )

    def _reads(self) -> Reads:
        """What workflows look things up from."""
        return Reads(
            knowledge=self.keeper.at,
            blueprints=lambda: self.library.blueprints,
            prometheus=self.clients.prometheus,
            repos=self.repos,
            runbooks=self.shelf.current,
            past=self._history().past,
            chart=drawn,
        )

    def means(self) -> Means:
        return Means(
            tools=discover(self._tool_parts()),
            budget=PostgresBudget(self.engine, self.windows()),
            prices=Prices(self.prices),
            backoff=Backoff(patience_seconds=self.settings.model.patience),
        )

    def _tool_parts(self) -> ToolParts:
        return ToolParts(
            **vars(self.clients),
            library=self.library,
            repos=self.repos,
            runbooks=self.shelf,
            results=StoredResults(self.engine),
            history=self._history(),
            channels=self.channels,
            on_call_policy=self.settings.escalation.pagerduty_policy_id,
            blueprints=lambda: self.library.blueprints,
        )

    @cached_property
    def shelf(self) -> RunbookShelf:
        """One index for the tools and the looks."""
        return RunbookShelf(lambda: self.keeper.current, lambda: self.library.catalog)

    def _history(self) -> History:
        return History(self.engine, self.link, self.clients.pagerduty)

    # -- investigations --------------------------------------------------------------------------------------

    def stages(self, surface: IncidentSurface, channel: str, means: Means) -> Stages:
        alerts, budgets = self.settings.alerts, self.settings.budgets
        wrapping = Wrapping(
            self.engine,
            self._escalation,
            self.hosts,
            folder=alerts.incidents_dir,
            thread_link=self.link,
            out=self.out,
        )
        diagnosing = DiagnoseMeans(
            self.models,
            means,
            RunLimits(
                tool_calls=budgets.max_tool_calls,
                model_turns=budgets.max_model_turns,
                tokens=budgets.max_tokens_per_incident,
                usd=Decimal(str(budgets.usd_per_run)),
            ),
            knowledge=self.keeper.at,
            hosts=self.hosts,
            seconds=budgets.investigation_seconds,
            ttl_seconds=alerts.ttl_seconds,
            tool_result_bytes=budgets.tool_result_bytes,
            in_flight=PostgresBudget(
                self.engine, WindowLimits(usd_per_day=Decimal(str(budgets.usd_per_day)))
            ),
        )
        gatherer = Gatherer(
            self._sources(),
            lambda: self.library.catalog,
            self._signals,
            seconds=self.settings.sources.deadline_seconds,
        )
        looker = Looker(
            self.engine,
            surface,
            channel,
            gatherer,
            self.hosts,
            waits_for=WAITS_FOR if self.models else "",
            way=self.way,
        )
        diagnoser = Diagnoser(
            self.engine,
            surface,
            channel,
            diagnosing,
            wrapping,
            on_call=partial(people.first, emails=True) if (people := self._on_call()) else None,
            way=self.way,
        )
        return Stages(
            looker,
            diagnoser,
            Updater(
                self.engine,
                surface,
                channel,
                wrapping,
                looker,
                diagnoser,
                alerts.ttl_seconds,
                self.clients.pagerduty.resolution if self.clients.pagerduty else None,
                way=self.way,
            ),
        )

    async def _signals(self) -> Signals:
        return signals_of(await self.keeper.at(None))

    def _sources(self) -> Sources:
        clients, shelf, people = self.clients, self.shelf, self._on_call()
        return Sources(
            metrics=clients.prometheus,
            logs=clients.loki,
            traces=clients.traces,
            changes=Rollouts(clients.argocd, clients.github_changes) if clients.argocd else None,
            commits=Commits(clients.github_changes, self._repo_of)
            if clients.github_changes and not clients.argocd
            else None,
            replica_sets=ClusterRollouts(clients.kubernetes)
            if clients.kubernetes and not clients.argocd
            else None,
            cluster=clients.kubernetes,
            past=self._history().before,
            on_call=people.now if people else None,
            runbooks=shelf.current,
            tickets=self._tickets(),
            clock_notices=lambda: tuple(
                Gap(name, mask(said)) for name, said in (*clients.clock_notices(), *clients.mcp_gaps())
            ),
        )

    def _on_call(self) -> OnCall | None:
        pagerduty = self.clients.pagerduty
        return OnCall(pagerduty, self.settings.escalation.pagerduty_policy_id) if pagerduty else None

    def _tickets(self) -> Callable[[Investigation], Awaitable[tuple[str, ...]]] | None:
        servers = self.clients.mcp
        if servers is None or servers.ticket_search is None:
            return None
        tickets = Tickets(servers, servers.ticket_search)
        return lambda each: tickets.about(each.service_name, each.alert.name)

    def _repo_of(self, service: str) -> str | None:
        """`owner/name` of a service's repository on the GitHub that is configured."""
        api, known = self.settings.git.github_api_url, self.library.catalog.get(service)
        try:
            address = of_service(known.repo, api) if known and known.repo else None
        except AgentError:
            return None
        return address.slug if address is not None and address.is_on(api) else None
