"""The table and the page of ``peers.py``, from its JSON alone."""

from __future__ import annotations

from typing import Any

TIMES = ("cold", "again", "probe")

LEGEND = """*Again* is the same question once more with what was kept; *probe anew* is a new fit on kept vectors.
*Processor* is the time of all cores, which other work on the machine disturbs less than the time on the wall. *Lowest
cosine*: of an image's vector to ours. *One probe*: the same logistic regression on everybody's vectors."""


def table_of(report: dict[str, Any]) -> str:
    """Return the table of times, memory, figures and lines."""
    lines = ["| harness | cold (s) | again (s) | probe anew (s) | processor, cold (s) | memory, cold (MB) | lines "]
    lines[0] += "| accuracy, balanced, AUC | lowest cosine | AUC of one probe |"
    lines += ["|---|---:|---:|---:|---:|---:|---:|---|---:|---:|"]
    for row in report["rows"]:
        if row["failed"]:
            told = "does not run without CUDA" if "NVIDIA" in row["failed"] else "fails"
            lines.append(f"| {row['title']} | {told} | | | | | {row['lines']} | | | |")
            continue
        cells = [row["title"], *(f"{row[kind]['seconds']:.1f}" if kind in row else "–" for kind in TIMES)]
        cells += [f"{row['cold']['processor']:.0f}", f"{row['cold']['mb']:,}", str(row["lines"])]
        names = ("accuracy", "balanced accuracy", "AUC")
        cells.append(", ".join(f"{row['metrics'][name]:.3f}" if name in row["metrics"] else "–" for name in names))
        cells.append(f"{row['cosine']:.6f}" if "cosine" in row else "–")
        cells.append(f"{row['one_probe_auc']:.3f}" if "one_probe_auc" in row else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def circumstances(report: dict[str, Any]) -> str:
    """Say what was measured, on what, and how busy the machine was."""
    loads = [run["load"] for row in report["rows"] for kind in TIMES for run in row.get(kind, {}).get("runs", [])]
    return (
        f"{report['images']} images of {report['patients']} patients of BUS-BRA, a ViT-S of timm with random weights, "
        f"{report['machine']}, {report['threads']} threads, no GPU.\nMedians of runs in turns: cold {report['cold']}, "
        f"otherwise {report['repeats']}. Load of the machine, each run's own included, {min(loads)} to {max(loads)}: "
        "small differences in seconds mean nothing."
    )


def page(report: dict[str, Any]) -> str:
    """Return the page beside the JSON."""
    written = "Written by `benchmarks/peers.py`; what a user writes is in [peer_scripts](peer_scripts)."
    told = ["# Beside other benchmarks", "", written, "", circumstances(report), "", table_of(report), LEGEND, ""]
    told += ["## What each does from vectors to a figure", ""]
    told += [f"- **{row['title']}**: {row['protocol']}." for row in report["rows"]]
    told += [
        "",
        "The figures of different probes differ, and with random weights and one fold say nothing of an encoder.",
    ]
    for row in report["rows"]:
        if "without_mteb" in row:
            told.append(
                f"mteb's protocol, repeated with scikit-learn alone on our vectors, gives an accuracy of "
                f"{row['without_mteb']:.3f}; mteb says {row['metrics']['accuracy']:.3f}."
            )
    told += ["", "## What does not run as it installs", ""]
    for row in report["rows"]:
        if row["why"]:
            told.append(f"- **{row['title']}**: {row['why']}; measured with `{' '.join(row['pins'])}`.")
        if row["failed"]:
            told.append(f"- **{row['title']}**: {row['failed']}")
    told += ["", "## What each does better", "", better(report)]
    return "\n".join(told) + "\n"


def better(report: dict[str, Any]) -> str:
    """Say what each does better than this project."""
    return "\n".join(f"- **{row['title']}**: {row['better']}." for row in report["rows"] if row["better"])
