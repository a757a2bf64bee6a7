"""A dataset folder to the Hugging Face Hub: checked, compared, uploaded as one commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ...errors import InputError, Interrupted
from ...offline import need_network
from ..exchange.keeping import settled
from ..reporting import Reporter
from .guard import Guarded, guard

if TYPE_CHECKING:
    from ...publishing.hub import FileChange, Hub, RemoteState

_MOST_PROBLEMS = 10
_REF = re.compile(r"(?!refs/)(?!.*(\.\.|//|@\{|\.lock$|/$|\.$))[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class PublishOptions:
    """How a dataset is published.

    Attributes:
        private: whether only its owner sees it; None leaves a repository as it is and makes a new one as the
            account has it (public, unless an organisation says otherwise).
        revision: the branch to publish to; made from `main` where there is none.
        tag: a git tag to give the commit.
        message: the commit's message; empty for one that tells what it is.
        labels_only: True publishes labels and ids only, False everything; None does what the licence allows.
        replace: whether a repository that holds something else is overwritten, all of it.
        dry_run: sends nothing; compares where the Hub can be read.
        endpoint: the Hub's address; None takes HF_ENDPOINT, or huggingface.co.
    """

    private: bool | None = None
    revision: str | None = None
    tag: str | None = None
    message: str = ""
    labels_only: bool | None = None
    replace: bool = False
    dry_run: bool = False
    endpoint: str | None = None

    def check(self) -> None:
        """Raises:
        InputError: a branch or tag that git does not take, one that is a commit's hash, or a tag called
            like the branch.
        """
        for what, name in (("branch", self.revision), ("tag", self.tag)):
            if name is not None and (not _REF.fullmatch(name) or _COMMIT.fullmatch(name)):
                raise InputError(
                    f"Bad name of a {what} {name!r}, expected letters, digits and . _ / + - inside, and no "
                    "commit's hash"
                )
        if self.tag in ("main", self.revision) and self.tag is not None:
            raise InputError(f"Bad name of a tag {self.tag!r}: a branch is called so; choose another tag")


@dataclass(frozen=True)
class PublishPlan:
    """What a publication would do.

    Attributes:
        repo, url, branch: where to.
        exists: whether there is such a repository; None where the Hub could not be read.
        private: who sees it afterwards; None where only the account's settings tell.
        guarded: what the licence allows, and what is published.
        changes: what becomes of each file.
        base: the commit it is compared with; empty where there is none.
        warnings: what the user should know before.
        left_here: files of the folder that are not published.
        configs: the splits with rows by configuration, as `load_dataset` has them.
    """

    repo: str
    url: str
    branch: str
    exists: bool | None
    private: bool | None
    guarded: Guarded
    changes: tuple[FileChange, ...]
    base: str
    warnings: tuple[str, ...]
    left_here: tuple[str, ...]
    configs: Mapping[str, tuple[str, ...]]

    @property
    def sent(self) -> int:
        """Bytes of the files that are new or changed."""
        return sum(change.size for change in self.changes if change.sent)


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        plan: what it was to do.
        commit: the commit that holds the dataset; empty after a dry run, or where the user said no.
        new_commit: whether there was anything to commit.
        tag: the tag that the commit has.
        notes: what was done besides.
    """

    plan: PublishPlan
    commit: str = ""
    new_commit: bool = False
    tag: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def commit_url(self) -> str:
        return f"{self.plan.url}/commit/{self.commit}" if self.commit else ""

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        plan = self.plan
        return {
            "repo": plan.repo,
            "url": plan.url,
            "branch": plan.branch,
            "exists": plan.exists,
            "private": plan.private,
            "labels_only": plan.guarded.labels_only,
            "licence": plan.guarded.sharing.describe,
            "base": plan.base or None,
            "commit": self.commit or None,
            "commit_url": self.commit_url or None,
            "new_commit": self.new_commit,
            "tag": self.tag or None,
            "bytes_to_send": plan.sent,
            "files": [
                {"path": c.path, "bytes": c.size, "change": None if plan.exists is None else c.change}
                for c in plan.changes
            ],
            "left_here": list(plan.left_here),
            "warnings": list(plan.warnings),
            "notes": list(self.notes),
            "load": load_lines(plan, self.commit),
        }


def publish_to_hub(
    out: str | Path,
    repo: str,
    options: PublishOptions | None = None,
    reporter: Reporter | None = None,
    approve: Callable[[PublishPlan], bool] | None = None,
) -> Published:
    """Publishes a dataset folder at the Hugging Face Hub, as one commit.

    Everything is checked before anything is sent: hashes, counts, schemas and the card (see
    `find_problems`), the card's front matter and the sizes against what the Hub takes, text that looks like
    an API key, the corpus's licence, and that nobody is building in the folder. Only the files that the
    manifest names are uploaded. Large files that an interrupted run has sent are not sent again, and where
    the Hub has all of it already no commit is made.

    Args:
        out: the dataset folder.
        repo: `USER/NAME` or `ORGANISATION/NAME`.
        options: see `PublishOptions`.
        reporter: told what happens.
        approve: shown the plan before anything is sent; False stops there.

    Returns:
        What was done, with the commit's hash.

    Raises:
        InputError: the folder has problems, the licence or the Hub forbids it, there is no token, or the
            repository holds another dataset.
        Interrupted: the connection broke or the Hub cannot answer; the same call goes on.
    """
    from ...journal import OutLock
    from ...publishing.hub import Hub

    out, options, reporter = Path(out), options or PublishOptions(), reporter or Reporter()
    options.check()
    if not options.dry_run:
        need_network("Publishing")
    hub = Hub(repo, options.endpoint, patient=not options.dry_run)
    if not out.is_dir():
        raise InputError(f"{out} is no folder")
    if not options.dry_run:
        hub.check_token()
    with OutLock(out) if (out / ".remelt").is_dir() else nullcontext():
        settled(out)
        with _checked(out, options, reporter) as (folder, guarded):
            if options.dry_run:
                return _dry(hub, folder, guarded, options, reporter)
            return _publish(hub, folder, guarded, options, reporter, approve)


def load_lines(plan: PublishPlan, commit: str = "") -> list[str]:
    """The lines of Python that load each configuration, then the one that loads exactly this commit."""
    at = "" if plan.branch == "main" else f', revision="{plan.branch}"'
    lines = [
        f'load_dataset("{plan.repo}"{"" if config == "default" else f", {config!r}"}{at})'.replace("'", '"')
        for config in plan.configs
    ]
    return [*lines, *([f'load_dataset("{plan.repo}", revision="{commit}")'] if commit else [])]


@contextmanager
def _checked(out: Path, options: PublishOptions, reporter: Reporter) -> Iterator[tuple[Path, Guarded]]:
    """The folder to upload, which may be the labels alone, and what the licence says of it."""
    from ...publishing import read_manifest

    reporter.stage(f"Checking {out}")
    _refuse_problems(out)
    guarded = guard(out, read_manifest(out), options.labels_only)
    if not guarded.reduce:
        yield out, guarded
        return
    from .labels_only import labels_only_folder

    reporter.stage("Taking out labels and ids")
    with TemporaryDirectory(prefix="remelt-labels-") as folder:
        labels = labels_only_folder(out, Path(folder) / "labels")
        _refuse_problems(labels)
        yield labels, guarded


def _refuse_problems(out: Path) -> None:
    from ...publishing import find_problems, read_manifest
    from ...publishing.hub import card_checks, files_to_publish, hub_problems

    problems = find_problems(out)
    if not problems:
        problems = [*card_checks(out), *hub_problems(files_to_publish(out, read_manifest(out)))]
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems[:_MOST_PROBLEMS])
        more = f"\n  and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise InputError(f"{out} has problems and is not published:\n{listed}{more}")


def _dry(hub: Hub, out: Path, guarded: Guarded, options: PublishOptions, reporter: Reporter) -> Published:
    reporter.stage(f"Comparing with {hub.url}")
    try:
        state = hub.state(options.revision or "main")
    except (InputError, Interrupted) as error:
        reporter.notice(f"The Hub could not be read, so nothing was compared. {error}")
        return Published(_plan(hub, out, guarded, options, None, known=False))
    if state is not None:
        _check_state(out, hub, state, options)
    elif not hub.has_token:
        reporter.notice(f"Without a token {hub.repo} may also be private and not seen")
    return Published(_plan(hub, out, guarded, options, state))


def _publish(
    hub: Hub,
    out: Path,
    guarded: Guarded,
    options: PublishOptions,
    reporter: Reporter,
    approve: Callable[[PublishPlan], bool] | None,
) -> Published:
    hub.user()
    branch = options.revision or "main"
    reporter.stage(f"Comparing with {hub.url}")
    state = hub.state(branch)
    if state is not None:
        _check_state(out, hub, state, options)
    plan = _plan(hub, out, guarded, options, state)
    if approve is not None and not approve(plan):
        return Published(plan)
    notes = []
    if state is None:
        hub.create(options.private)
        notes.append("the repository was made")
    elif options.private and state.private is False:
        hub.set_private(True)
        notes.append("the repository was public and is private now")
    if branch != "main" and not (state and state.branch_exists):
        hub.create_branch(branch)
        notes.append(f"the branch {branch} was made")
    commit, new = _send(hub, out, plan, options, reporter)
    if options.tag:
        hub.create_tag(options.tag, commit)
    if options.private is False and state is not None and state.private:
        hub.set_private(False)
        notes.append("the repository was private and is public now")
    return Published(plan, commit, new, options.tag or "", tuple(notes))


def _send(
    hub: Hub, out: Path, plan: PublishPlan, options: PublishOptions, reporter: Reporter
) -> tuple[str, bool]:
    """Uploads what differs from what is there now; the commit's hash and whether it is new."""
    from ...publishing import read_manifest
    from ...publishing.hub import compare, is_published

    manifest = read_manifest(out)
    state = hub.state(plan.branch)
    if state is None:
        raise Interrupted(f"{plan.url} cannot be seen yet; run the same command again")
    if state.commit != plan.base:
        _check_state(out, hub, state, options)
    changes = compare(out, manifest, state, options.replace)
    if is_published(changes):
        return state.commit, False

    def done(now: RemoteState) -> bool:
        return is_published(compare(out, manifest, now, options.replace))

    files = {change.path: out / change.path for change in changes if change.sent}
    size = sum(change.size for change in changes if change.sent)
    reporter.stage(f"Uploading {len(files)} files ({size / 1e6:,.1f} MB) to {plan.url}")
    deleted = [change.path for change in changes if change.change == "deleted"]
    message = options.message or _message(manifest)
    return hub.upload(files, deleted, message, state, plan.branch, done), True


def _message(manifest: Mapping[str, Any]) -> str:
    from ... import __version__

    rows = sum(int(row["kept"]) for row in manifest["counts"].values())
    what = "labels of " if manifest.get("labels_only") else ""
    corpus, recipe = manifest["corpus"]["name"], manifest["recipe"]
    return f"{what}{corpus}, recipe {recipe}: {rows:,} rows (remelt {__version__})"


def _check_state(out: Path, hub: Hub, state: RemoteState, options: PublishOptions) -> None:
    """Refuses to write over another dataset, to move a tag, and one name for a branch and a tag."""
    from ...publishing import read_manifest
    from ...publishing.hub import compare, is_published, origin, same_origin

    manifest = read_manifest(out)
    if not (state.empty or same_origin(manifest, state) or options.replace):
        raise InputError(
            f"{hub.url} holds {origin(state)}; this is the recipe {manifest['recipe']!r} and the corpus "
            f"{manifest['corpus']['name']!r}. Choose another name, or overwrite all of it with --replace"
        )
    if options.revision in state.tags and not state.branch_exists:
        raise InputError(f"{options.revision!r} is a tag of {hub.repo}, which stays; choose another branch")
    if options.tag in state.branches:
        raise InputError(f"{options.tag!r} is a branch of {hub.repo}, which moves; choose another tag")
    tagged = state.tags.get(options.tag or "")
    if tagged is None:
        return
    if tagged != state.commit or not is_published(compare(out, manifest, state, options.replace)):
        raise InputError(
            f"The tag {options.tag!r} of {hub.repo} names the commit {tagged[:12]} already, and this is "
            "another version; choose another tag"
        )


def _plan(
    hub: Hub,
    out: Path,
    guarded: Guarded,
    options: PublishOptions,
    state: RemoteState | None,
    known: bool = True,
) -> PublishPlan:
    from ...publishing import read_manifest
    from ...publishing.hub import compare, files_to_publish, hub_warnings, left_here

    manifest = read_manifest(out)
    warnings = [*guarded.warnings, *hub_warnings(files_to_publish(out, manifest))]
    if guarded.labels_only and state is not None and state.manifest and not state.manifest.get("labels_only"):
        warnings.append(
            "the Hub has a version with the corpus's words; they stay in its history until that is squashed "
            "or the repository deleted (docs/hub.md)"
        )
    configs = _configs(out)
    if "default" not in configs:
        warnings.append("no row has a label, so the configuration 'default' is empty and cannot be loaded")
    exists = (state is not None) if known else None
    visible = state.private if state is not None and options.private is None else options.private
    return PublishPlan(
        repo=hub.repo,
        url=hub.url,
        branch=options.revision or "main",
        exists=exists,
        private=visible,
        guarded=guarded,
        changes=compare(out, manifest, state, options.replace),
        base=state.commit if state else "",
        warnings=tuple(warnings),
        left_here=() if guarded.reduce else tuple(left_here(out, manifest)),
        configs=configs,
    )


def _configs(out: Path) -> dict[str, tuple[str, ...]]:
    """The configurations that have rows, and their splits with rows; the default one first."""
    from ...publishing.hub import front_matter_of

    found = {
        info["config_name"]: tuple(split["name"] for split in info["splits"] if split["num_examples"])
        for info in front_matter_of(out)["dataset_info"]
    }
    configs = {name: splits for name, splits in found.items() if splits}
    return dict(sorted(configs.items(), key=lambda item: (item[0] != "default", item[0])))
