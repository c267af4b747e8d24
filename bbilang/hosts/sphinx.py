"""The Sphinx extension `bbilang.hosts.sphinx`: the directive `bbi`, in reStructuredText and MyST, becomes a page.

    extensions = ["bbilang.hosts.sphinx"]

    .. bbi::
       :title: Why a cat?

       input "cat.jpg"
       head.channel | attribute(output) | top(8) | present(bars)

Pages are made while documents are read, and kept beside the doctrees; HTML builders copy those that are shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

from bbilang.grammar.diagnostic import BbiError
from bbilang.hosts.fences import line_in
from bbilang.hosts.frames import block_html
from bbilang.hosts.options import KNOWN, BlockOptions, HostSettings, block_options, limits_with
from bbilang.hosts.pages import Block, Made, make
from bbilang.runtime.cache.versions import code_digest
from bbilang.runtime.files import write

FOLDER = "_bbi"  # of the site, and of the doctrees
CONFIG = {
    "bbi_strict": False,
    "bbi_limits": {},
    "bbi_settings": {},
    "bbi_draft": False,
    "bbi_cache": None,
    "bbi_root": None,
}

log = logging.getLogger(__name__)


class bbi_page(nodes.General, nodes.Element):
    """A block: its HTML with a mark where the address of the page belongs, the page's name, and its text."""


MARK = "bbi-address-of-the-page"


class BbiDirective(SphinxDirective):
    """A text with the options of `BlockOptions`."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {name: directives.unchanged for name in KNOWN}

    def run(self) -> list[nodes.Node]:
        """Make the page. Raises ExtensionError if a wrong text fails the build."""
        text = "\n".join(self.content) + "\n"
        document, _ = self.env.doc2path(self.env.docname), None
        path = Path(document)
        line, indent = line_in(path.read_text(encoding="utf-8").splitlines(), text, max(0, self.lineno - 1))
        block = Block(text, path, path.relative_to(self.env.srcdir).as_posix(), line, indent)
        made = self.made(block)
        for name in made.files:
            self.env.note_dependency(str(Path(name).absolute()))
        if made.problem is not None:
            report = f"a `bbi` block has no page\n{made.report}"
            if self.config.bbi_strict:
                raise ExtensionError(f"{made.where}: {report}")
            code = made.problem.diagnostics[0].code
            log.warning("%s", report, location=(self.env.docname, made.line), type="bbi", subtype=code)
            return [bbi_page("", html=block_html(made, None), name="", text=text)]
        made.keep(Path(self.env.app.doctreedir) / FOLDER)
        return [bbi_page("", html=block_html(made, MARK), name=made.name, text=text)]

    def made(self, block: Block) -> Made:
        """Make the page of a block; wrong options are in the result, too."""
        config, source = self.config, Path(self.env.srcdir)
        try:
            options = block_options(self.options)
            limits = limits_with(config.bbi_limits)
        except BbiError as problem:
            return Made(block, BlockOptions(), problem=problem)
        cache = str(source / config.bbi_cache) if isinstance(config.bbi_cache, str) else config.bbi_cache
        root = source / config.bbi_root if config.bbi_root else source
        return make(block, options, HostSettings(root, limits, config.bbi_settings, config.bbi_draft, cache))


def visit_html(self: HTML5Translator, node: bbi_page) -> None:
    """Write the block, and its page into the site."""
    html = str(node["html"])
    if node["name"]:
        builder = self.builder
        kept = Path(builder.app.doctreedir) / FOLDER / node["name"]
        target = Path(builder.outdir) / FOLDER / node["name"]
        if not target.exists():
            write(target, kept.read_bytes(), parents=True, sync=False)
        html = html.replace(
            MARK, relative_uri(builder.get_target_uri(builder.current_docname), f"{FOLDER}/{node['name']}")
        )
    self.body.append(html)
    raise nodes.SkipNode


def visit_other(self: nodes.NodeVisitor, node: bbi_page) -> None:
    """Show the text, in formats without frames."""
    block = nodes.literal_block(node["text"], node["text"])
    node.replace_self(block)
    block.walkabout(self)
    raise nodes.SkipNode


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive. Documents are read again when this package changes."""
    for name, default in CONFIG.items():
        app.add_config_value(name, default, "env")
    other = (visit_other, None)
    app.add_node(bbi_page, html=(visit_html, None), latex=other, text=other, man=other, texinfo=other, epub=other)
    app.add_directive("bbi", BbiDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": int(code_digest()[:8], 16)}
