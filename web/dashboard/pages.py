"""The pages, in the order of the navigation: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint

from web.dashboard.agents import view as agents
from web.dashboard.drive import view as drive
from web.dashboard.jobs import view as jobs
from web.dashboard.overview import view as overview
from web.dashboard.providers import view as providers
from web.dashboard.queues import view as queues
from web.dashboard.scheduler import view as scheduler
from web.dashboard.settings import view as settings
from web.dashboard.usage import view as usage


@dataclass(frozen=True)
class Page:
    """A page of the navigation.

    `views`: its blueprint; what it is called there is the name of its folder, too. `path`: where it begins.
    `icon`: a symbol of `static/vendor/icons.svg`. `key`: `g` and then this letter opens it. `admin`: others
    do not see it; that they may not read it stands on its views.
    """

    title: str
    path: str
    icon: str
    key: str
    views: Blueprint
    admin: bool = False


PAGES = (
    Page("Overview", "/", "layout-dashboard", "o", overview.views),
    Page("Jobs", "/jobs", "list-details", "j", jobs.views),
    Page("Agents", "/agents", "robot", "a", agents.views),
    Page("Queues", "/queues", "stack-2", "q", queues.views),
    Page("Drive", "/drive", "folder", "d", drive.views),
    Page("Providers", "/providers", "plug-connected", "p", providers.views),
    Page("Usage", "/usage", "chart-bar", "u", usage.views),
    Page("Scheduler", "/scheduler", "clock", "t", scheduler.views, admin=True),
    Page("Settings", "/settings", "settings", "s", settings.views),
)
