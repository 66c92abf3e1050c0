"""The rows of all rounds as one table, in Markdown."""


def least(row, key):
    values = [figures[key] for figures in row.rounds if key in figures]
    return min(values) if values else None


def most(row, key):
    values = [figures[key] for figures in row.rounds if key in figures]
    return max(values) if values else None


def median_ms(row):
    """The median of the rounds' medians."""
    values = sorted(figures["median_ms"] for figures in row.rounds)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def peak_gflops(rows):
    """The core's peak: the highest that mobilec measured in these rounds."""
    return max((most(row, "peak_gflops") or 0 for row in rows), default=0)


def speed(rows):
    """One line for each network and peer, the fastest first."""
    head = ["network", "peer", "min ms", "median ms", "min against mobilec", "GFLOP/s", "of FMA peak", "max abs error"]
    peak = peak_gflops(rows)

    def cells(row, mobilec):
        macs = mobilec and most(mobilec, "macs")
        shortest = least(row, "min_ms")
        rate = 2 * macs / shortest / 1e6 if macs else None
        yield f"{shortest:.2f}"
        yield f"{median_ms(row):.2f}"
        yield f"{shortest / least(mobilec, 'min_ms'):.2f}" if mobilec else "-"
        yield f"{rate:.1f}" if rate else "-"
        yield f"{100 * rate / peak:.0f} %" if rate and peak else "-"
        yield f"{most(row, 'error'):.1e}"

    return table(head, rows, "min_ms", cells)


def start(rows, sizes):
    """One line for each network and peer, the soonest first. `sizes` has bytes by network and peer."""
    head = ["network", "peer", "start to result ms", "of it loading ms", "peak RSS MB", "program without weights KB"]

    def cells(row, _):
        size = sizes.get((row.network, row.peer))
        yield f"{least(row, 'start_ms'):.1f}"
        yield f"{least(row, 'load_ms'):.1f}"
        rss = most(row, "rss_mb")
        yield f"{rss:.1f}" if rss else "-"
        yield f"{size / 1e3:.0f}" if size else "-"

    return table(head, rows, "start_ms", cells)


def table(head, rows, key, cells):
    """A table, and below it why lines are empty."""
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "--:|" * (len(head) - 2)]
    networks = list(dict.fromkeys(row.network for row in rows))
    for network in networks:
        here = [row for row in rows if row.network == network]
        fit = sorted((row for row in here if not row.failure), key=lambda row: least(row, key))
        mobilec = next((row for row in fit if row.peer == "mobilec"), None)
        for row in fit:
            lines.append(f"| {network} | {row.peer} | " + " | ".join(cells(row, mobilec)) + " |")
        for row in here:
            if row.failure:
                lines.append(f"| {network} | {row.peer} |" + " - |" * (len(head) - 2))
    failed = [row for row in rows if row.failure]
    reasons = [f"- {row.peer} on {row.network}: {row.failure}" for row in failed]
    return "\n".join(lines + [""] * bool(failed) + reasons)
