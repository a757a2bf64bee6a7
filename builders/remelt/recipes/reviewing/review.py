"""`remelt review`: people judge a dataset's labels in a browser.

*Preference* is the listening test of MELT (Jing et al. 2025): raters see or hear an utterance whose two
labels differ and choose between them, without knowing which is whose. *Label* asks for a label from the list,
for checks of a model by people (Feng & Narayanan 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from ...errors import InputError, bad_value
from ...offline import need_network, stays_here
from ...review.assignment import Wanted, draw
from ...review.judgements import MODES, Item, Mode
from ...review.session import Question, Session
from ...review.store import FILE, ReviewLock, Store
from ..reporting import Reporter
from .items import SOURCES, Rows, differing, pick, read_rows, restrict

_PORT = "port"


@dataclass(frozen=True)
class ReviewOptions:
    """What is asked, and of whom.

    Attributes:
        mode: `preference` or `label`.
        sources: where the two labels come from: columns, or sources of the column `votes`.
        pick: how items are chosen in the mode `label` (see `review_items.pick`).
        items: so many at most; None for all.
        split: rows of this split only; None for all.
        raters_per_item: an item that so many have judged is not given out any more; None for no limit.
        seed: of the items, their order, and the sides.

    Raises:
        InputError: a value that cannot be; the message lists the choices.
    """

    mode: Mode = "preference"
    sources: tuple[str, str] = SOURCES
    pick: str = "random"
    items: int | None = None
    split: str | None = None
    raters_per_item: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(bad_value("mode", self.mode, MODES))
        if self.sources[0] == self.sources[1]:
            raise InputError(f"Bad labels {','.join(self.sources)!r}: two different sources are needed")
        if self.mode == "preference" and self.pick != "random":
            raise InputError(f"Bad pick {self.pick!r}: preferences are asked of rows whose two labels differ")
        if self.items is not None and self.items < 1:
            raise InputError(f"Bad items {self.items!r}, expected a whole number from 1")


@dataclass(frozen=True)
class Address:
    """Where the page is.

    Attributes:
        host: the address to bind to; others than this machine's own need the key that is made for them.
        port: 0 for one that is free; None for the one of the last time, where a page that was left with an
            unsent judgement looks for the server, else one that is free.
    """

    host: str = "127.0.0.1"
    port: int | None = None


def choose_items(rows: Rows, options: ReviewOptions) -> list[Item]:
    """The items of a review.

    Raises:
        InputError: none fits; the message says why.
    """
    rows = restrict(rows, options.split)
    if not rows.items:
        raise InputError("The dataset has no rows to review")
    if options.mode == "label":
        return pick(rows, options.pick, options.items, options.seed)
    changed = differing(rows)
    if not changed:
        first, second = options.sources
        raise InputError(f"No row to compare: {first!r} and {second!r} differ nowhere")
    return draw(changed, [item.utterance_id for item in changed], options.items, options.seed)


def review(
    out: Path,
    options: ReviewOptions,
    where: Address = Address(),
    reporter: Reporter | None = None,
    ready: Callable[[str], None] = lambda address: None,
) -> int:
    """Serves the review page until Ctrl-C.

    Args:
        out: a dataset folder; judgements are kept in its `.remelt/review.sqlite`.
        options: what is asked.
        where: the address.
        reporter: told what is asked and what to know of it.
        ready: told the page's address as soon as it can be opened.

    Returns:
        How many judgements were added.

    Raises:
        InputError: an option that cannot be used, no item, another server on the same OUT, an address that is
            taken, or the extra `review` is not installed.
    """
    from ...review.app import application
    from ...review.serving import address, needs_key, serve
    from .clips import ClipFinder

    reporter = reporter or Reporter()
    if not stays_here(where.host):
        need_network(f"Listening on {where.host or 'all addresses'}")
    rows = read_rows(out, options.sources, needed=options.mode == "preference")
    items = choose_items(rows, options)
    wanted = Wanted(options.raters_per_item, options.seed)
    question = Question(options.mode, options.sources, rows.choices, wanted)
    with (
        ReviewLock(out) as lock,
        Store(out / ".remelt" / FILE) as store,
        closing(ClipFinder(out, rows.clips)) as clips,
    ):
        session = Session(items, store, question)
        before = len(store.judgements())
        _tell(reporter, options, items, session, clips.any)
        key = store.secret("key") if needs_key(where.host) else ""
        app = application(session, clips, _title(out), where.host, key, clips.any)
        listening = _listen(where, store, reporter)
        url = address(where.host, listening.getsockname()[1], key)
        if key:
            reporter.notice(
                "Everybody who reaches this machine over the network and has the address with its key can "
                "open the page. The connection is not encrypted; words and clips of the corpus go over it."
            )

        def opened() -> None:
            lock.tell(url.partition("?")[0])
            ready(url)

        serve(app, listening, opened)
        return len(store.judgements()) - before


def _listen(where: Address, store: Store, reporter: Reporter) -> socket:
    """A socket at the port that was asked for, else at that of the last time, else at any."""
    from ...review.serving import listen

    last = store.recall(_PORT)
    if where.port is not None:
        listening = listen(where.host, where.port)
    elif last is None:
        listening = listen(where.host, 0)
    else:
        try:
            listening = listen(where.host, int(last))
        except InputError as error:
            listening = listen(where.host, 0)
            reporter.notice(
                f"{error}: the page has another address than last time. What a browser could not send then "
                f"waits there; --port {last} brings the address back once it is free."
            )
    store.remember(_PORT, str(listening.getsockname()[1]))
    return listening


def _title(out: Path) -> str:
    return out.resolve().name


def _tell(
    reporter: Reporter, options: ReviewOptions, items: list[Item], session: Session, sound: bool
) -> None:
    judged = sum(session.counts().values())
    so_far = f", {judged:,} judgements so far" if judged else ""
    what = (
        f"{options.sources[0]} against {options.sources[1]}" if options.mode == "preference" else options.pick
    )
    reporter.stage(f"{len(items):,} items ({what}){so_far}")
    if options.items is not None and len(items) < options.items:
        reporter.notice(f"Only {len(items):,} rows can be asked about, {options.items:,} were wanted.")
    if not sound:
        reporter.notice("No sound is at hand: raters read the words and what was said before.")
