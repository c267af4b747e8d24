"""The MkDocs plugin `bbi`: fenced `bbi` blocks become pages.

    plugins: [search, bbi]

Blocks are found before Markdown reads them, in lists, quotes, tabs and admonitions too, whatever extensions the site
has (`pymdownx.superfences` of Material for MkDocs, or `fenced_code`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from mkdocs.config import config_options
from mkdocs.config.base import Config
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, event_priority, get_plugin_logger
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from bbilang.grammar.diagnostic import BbiError
from bbilang.hosts.fences import Fence, fences, line_in
from bbilang.hosts.frames import block_html
from bbilang.hosts.options import BlockOptions, HostSettings, block_options, limits_with, words_of
from bbilang.hosts.pages import Block, Made, make

FOLDER = "assets/bbi"  # of the site, for pages
BEFORE_FENCES = 26  # superfences and fenced_code have 25

log = get_plugin_logger("bbi")


class BbiConfig(Config):
    """What stands below `bbi:` in mkdocs.yml."""

    blocks = config_options.Choice(("every", "marked"), default="every")
    strict = config_options.Type(bool, default=False)
    limits = config_options.Type(dict, default={})
    settings = config_options.Type(dict, default={})
    draft = config_options.Type(bool, default=False)
    cache = config_options.Optional(config_options.Type((str, bool)))
    root = config_options.Optional(config_options.Type(str))


class BbiPlugin(BasePlugin[BbiConfig]):
    """``blocks``: `every`, or `marked` for those with the word `page`. ``strict``: a wrong text fails the build.
    ``limits``, ``settings``, ``draft``, ``cache``: as in `HostSettings`. ``root``: the folder whose files texts may
    name, by default that of the documentation."""

    def on_config(self, config: MkDocsConfig) -> MkDocsConfig:
        """Add the preprocessor that finds blocks. Raises PluginError for limits that are none."""
        base = Path(config.config_file_path).parent if config.config_file_path else Path()
        own, docs = self.config, Path(config.docs_dir)
        try:
            limits = limits_with(own.limits)
        except BbiError as problem:
            raise PluginError(f"mkdocs.yml, plugin bbi: {problem}") from None
        cache = str(base / own.cache) if isinstance(own.cache, str) else own.cache
        root = base / own.root if own.root else docs
        self.host = HostSettings(root, limits, own.settings, own.draft, cache)
        self.docs, self.site = docs, Path(config.site_dir)
        config.markdown_extensions.append(_Blocks(self))  # type: ignore[arg-type]  # Markdown takes instances
        return config

    @event_priority(100)
    def on_page_markdown(self, markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
        """Note which page is read, before other plugins change its text."""
        self.page, self.after = page, 0
        self.lines = (page.file.content_string or markdown).splitlines()
        return markdown

    def replaced(self, fence: Fence) -> str | None:
        """Return the HTML of a block; None for a listing. Raises PluginError if a wrong text fails the build."""
        words = words_of(fence.info)
        if "listing" in words or (self.config.blocks == "marked" and "page" not in words):
            return None
        name = self.page.file.src_uri
        line, indent = line_in(self.lines, fence.text, self.after)
        self.after = line
        block = Block(fence.text, self.docs / name, name, line, indent)
        made = self.made(block, words)
        if made.problem is not None:
            report = f"{made.where}: a `bbi` block has no page\n{made.report}"
            if self.config.strict:
                raise PluginError(report)
            log.warning("%s", report)
            return block_html(made, None)
        made.keep(self.site / FOLDER)
        log.debug("%s: %s", made.where, made.name)
        return block_html(made, get_relative_url(f"{FOLDER}/{made.name}", self.page.url))

    def made(self, block: Block, words: dict[str, str]) -> Made:
        """Make the page of a block; wrong options are in the result, too."""
        try:
            options = block_options(words)
        except BbiError as problem:
            return Made(block, BlockOptions(), problem=problem)
        return make(block, options, self.host)


class _Blocks(Extension):
    def __init__(self, plugin: BbiPlugin):
        super().__init__()
        self.plugin = plugin

    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(_Finder(md, self.plugin), "bbi", BEFORE_FENCES)


class _Finder(Preprocessor):
    def __init__(self, md: Markdown, plugin: BbiPlugin):
        super().__init__(md)
        self.plugin = plugin

    def run(self, lines: list[str]) -> list[str]:
        found: list[tuple[Fence, str]] = []
        for fence in fences(lines):
            if (made := self.plugin.replaced(fence)) is not None:
                found.append((fence, made))
            elif "listing" in words_of(fence.info):  # a word that other extensions do not know
                lines[fence.first] = f"{fence.margin}{fence.ticks}bbi"
        for fence, made in reversed(found):
            stash: Any = self.md.htmlStash.store(made)
            lines[fence.first : fence.last + 1] = [
                fence.margin.rstrip(),
                f"{fence.margin}{stash}",
                fence.margin.rstrip(),
            ]
        return lines
