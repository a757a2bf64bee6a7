"""The tables of a run as plain rows of text, the same for the console, the report and the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
_NAMES = {
    "uar": "UAR",
    "accuracy": "ACC",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "kappa": "kappa",
    "ccc": "CCC",
    "f1": "F1",
    "gain_over_base": "gain/base",
    "error_reduction": "error reduction",
    "parameters_millions": "parameters (M)",
}
_MODEL = "model"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: one line.
        head: names of the columns.
        rows: cells as text.
        notes: what to know when reading it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def measure(name: str) -> str:
    """How a score is called in tables.

    >>> measure("uar"), measure("ccc_arousal")
    ('UAR', 'CCC arousal')
    """
    if name.startswith("ccc_"):
        return f"CCC {name[4:]}"
    return _NAMES.get(name, name)


def estimate(one: Record | None) -> str:
    """A score with its interval: `.381 [.350, .412]`, and the deviation over seeds where there are several.

    >>> estimate({"value": 0.381, "low": 0.35, "high": 0.412, "sd": None})
    '.381 [.350, .412]'
    """
    if one is None or one.get("value") is None:
        return "–"
    text = f"{share(one['value'])} [{share(one['low'])}, {share(one['high'])}]"
    return text if one.get("sd") is None else f"{text} ±{share(one['sd'])}"


def share(value: float | None, signed: bool = False) -> str:
    """Three digits without the leading 0, as papers print them.

    >>> share(0.3805), share(-0.02, signed=True), share(1.0)
    ('.381', '-.020', '1.000')
    """
    if value is None:
        return "–"
    # Published tables have counts too.
    if abs(value) > 1:
        return f"{value:g}"
    rounded = round(value, 3) + 0.0
    text = f"{rounded:+.3f}" if signed else f"{rounded:.3f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def printed(value: float | None) -> str:
    """A published number with the digits that it has, which may be four.

    >>> printed(0.3805), printed(0.627), printed(165)
    ('.3805', '.627', '165')
    """
    if value is None or abs(value) > 1:
        return share(value)
    text = f"{value:.4f}"
    return text.removesuffix("0").removeprefix("0") if value < 1 else share(value)


def change(one: Record) -> str:
    """A difference with its interval: `+.034 [-.002, +.071]`."""
    value, low, high = (share(one[name], True) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def p_value(value: float | None) -> str:
    """A p value as it may be told.

    >>> p_value(0.0004), p_value(0.03)
    ('< .001', '.030')
    """
    if value is None:
        return "–"
    return "< .001" if value < 0.001 else share(value)


def metrics_of(results: Record) -> list[str]:
    """The scores of a run, the paper's first."""
    found = list(dict.fromkeys(name for one in results["scores"] for name in one["metrics"]))
    first = [name for name in (results["metric"],) if name in found]
    return [*first, *(name for name in found if name not in first)]


def scores_table(results: Record) -> Table:
    """Models and baselines, test set by test set."""
    metrics = metrics_of(results)
    rows = []
    for test in tests_of(results):
        for one in _of_test(results["scores"], test):
            name = one["variant"] or _MODEL
            rows.append(_line(test, one["condition"], name, one, metrics))
        for one in _of_test(results["baselines"], test):
            rows.append(_line(test, one["condition"], f"baseline: {one['baseline']}", one, metrics))
    head = ("test set", "trained on", "model", "rows", *map(measure, metrics))
    notes = (
        "95 % intervals of the bootstrap over whole dialogues or speakers (else rows); ± is the standard "
        "deviation over seeds.",
    )
    return Table("Scores", head, tuple(rows), notes)


def _line(test: str, condition: str, name: str, one: Record, metrics: Sequence[str]) -> tuple[str, ...]:
    cells = (estimate(one["metrics"].get(metric)) for metric in metrics)
    return (test, condition, name, f"{one['rows']:,}", *cells)


def tests_of(results: Record) -> list[str]:
    """The test sets in the order in which they were predicted."""
    return list(dict.fromkeys(one["test"] for one in results["scores"]))


def _of_test(records: Sequence[Record], test: str) -> list[Record]:
    return [one for one in records if one["test"] == test]


def differences_table(results: Record) -> Table | None:
    """What other labels bring, with both kinds of gain; None where nothing was compared."""
    if not results["differences"]:
        return None
    rows = []
    for one in results["differences"]:
        for name in metrics_of(results):
            if name not in one["differences"]:
                continue
            found = one["differences"][name]
            rows.append(
                (
                    one["test"],
                    one["variant"] or _MODEL,
                    measure(name),
                    f"{one['a']} {share(found['a'])}",
                    f"{one['b']} {share(found['b'])}",
                    change(found),
                    p_value(found["p"]),
                    _percent(found["gain_over_base"]),
                    _percent(found["error_reduction"]),
                )
            )
    head = ("test set", "model", "score", "from", "to", "difference", "p", "gain/base", "error reduction")
    notes = (
        "p is two-sided, of the paired bootstrap, and not corrected for the number of comparisons. "
        "gain/base is (to - from) / from; error reduction is (to - from) / (1 - from).",
    )
    return Table("What the labels make of it", head, tuple(rows), notes)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:+.1f} %"


def recall_table(results: Record) -> Table | None:
    """Recall of each class, which shows a model that says one thing only; None for regression."""
    labels = list(dict.fromkeys(label for one in results["scores"] for label in one["classes"]))
    if not labels:
        return None
    rows = [
        (
            one["test"],
            one["condition"],
            one["variant"] or _MODEL,
            *(share((one["classes"].get(label) or {}).get("recall")) for label in labels),
        )
        for test in tests_of(results)
        for one in _of_test(results["scores"], test)
    ]
    return Table("Recall by class", ("test set", "trained on", "model", *labels), tuple(rows))


def folds_table(results: Record) -> Table | None:
    """Means over folds; None without folds."""
    if not results.get("folds"):
        return None
    metrics = metrics_of(results)
    rows = []
    for one in results["folds"]:
        found = one["metrics"]
        cells = [
            f"{share(found[m]['mean'])} ±{share(found[m]['sd'])}" if m in found else "–" for m in metrics
        ]
        folds = next(iter(found.values()))["folds"] if found else 0
        rows.append((one["test"], one["condition"], one["variant"] or _MODEL, str(folds), *cells))
    head = ("test set", "trained on", "model", "folds", *map(measure, metrics))
    notes = ("Mean and standard deviation over folds (and seeds), whatever their sizes.",)
    return Table("Over folds", head, tuple(rows), notes)


def published_tables(results: Record) -> list[Table]:
    """What the paper reports for the same test sets or corpus; all of it where there is nothing of them.

    Rows of no test set in particular, such as sizes, stand in any of them.
    """
    tests = {_plain(test) for test in (*tests_of(results), results["material"])}
    of_ours = [
        (table, rows)
        for table in results["published"]
        if (rows := [row for row in table["rows"] if not row["test"] or _plain(row["test"]) in tests])
    ]
    if not any(row["test"] for _, rows in of_ours for row in rows):
        of_ours = []
    found = []
    for table, rows in of_ours or [(table, table["rows"]) for table in results["published"]]:
        names = list(dict.fromkeys(name for row in rows for name in row["values"]))
        lines = tuple(
            (row["test"], row["labels"], row["model"], *(printed(row["values"].get(name)) for name in names))
            for row in rows
        )
        head = ("test set", "trained on", "model", *map(measure, names))
        notes = tuple(filter(None, [table["note"]]))
        found.append(Table(f"Published, not measured here: {table['table']}", head, lines, notes))
    return found


def _plain(test: str) -> str:
    return test.casefold().replace("-", "").replace("_", "")


def warnings_of(results: Record) -> list[str]:
    """Sentences on models that say one thing only, and the like; what all of a test set share once."""
    found: dict[str, None] = {}
    for one in results["scores"]:
        name = " ".join(filter(None, (one["condition"], one["variant"])))
        for told in one["warnings"]:
            if told.startswith(("only ", "fewer than", "without a test row")):
                found[f"{one['test']}: {told}"] = None
            else:
                found[f"{one['test']}, {name}: {told}"] = None
        for told in one["notes"]:
            found[f"{one['test']}: {told}"] = None
    return list(found)


def tables_of(results: Record) -> list[Table]:
    """All tables of a run in the order of the report."""
    found = [scores_table(results), differences_table(results), folds_table(results), recall_table(results)]
    return [*(table for table in found if table is not None), *published_tables(results)]
