"""mobilec and its peers on the same networks: one thread, interleaved, one table.

    tests/peers/setup.sh
    python3 tests/peers/run.py MobileNetV2 MobileNetV3Large
    python3 tests/peers/run.py --int8 MobileNetV2
    python3 tests/peers/run.py --model mine.onnx
    python3 tests/peers/run.py --start MobileNetV2

Networks are the zoo's (`mobilec zoo`), with seeded weights; `--model` takes an ONNX file with one float input.
Every peer runs in a fresh process in every round, and its output is held against ONNX Runtime's. The peak that
shares are of is the core's f32 FMA peak, which `mobilec bench` measures in the same processes.
"""

import argparse
import json
import os
import pathlib
import sys

import networks
import peers
import rounds
import selftest
import table
from process import Failure


class Tools:
    """Where setup.sh put things."""

    def __init__(self, folder):
        self.here = pathlib.Path(__file__).resolve().parent
        repository = self.here.parent.parent
        self.folder = pathlib.Path(folder or repository / "target/peers").resolve()
        self.target = self.folder / "target"
        self.mobilec = self.target / "release/mobilec"
        self.python = self.folder / "venv/bin/python"
        self.litert_bin = self.folder / "venv-litert/bin"
        self.pnnx = next(self.folder.glob("venv/lib/python*/site-packages/pnnx/pnnx"), "pnnx")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("networks", nargs="*", metavar="NETWORK", help="of the zoo; MobileNetV2 where nothing is given")
    add("--model", action="append", default=[], metavar="FILE.onnx", help="a network of your own; may be repeated")
    add("--int8", action="store_true", help="quantise the networks of the zoo first (QDQ, per channel)")
    add("--start", action="store_true", help="process start to first result, memory and program size instead")
    add("--target", metavar="T", help="of mobilec; where nothing is given, this CPU, and with --start x86-64 as a whole")
    add("--peers", metavar="A,B", help="only these")
    add("--rounds", type=int, default=3, metavar="N")
    add("--seconds", type=float, default=2.0, metavar="S", help="of each peer in each round")
    add("--cpu", type=int, metavar="N", help="the CPU to run on; where nothing is given, the last of those allowed")
    add("--dir", default=os.environ.get("PEERS_DIR"), help="setup.sh's folder: $PEERS_DIR, else target/peers")
    add("--json", metavar="FILE", help="also write the rows of all rounds")
    add("--self-test", action="store_true", help="test rounds and tables with peers made up for it")
    return parser.parse_args()


def pin(cpu):
    """Keeps this process and its children on one CPU, and says which."""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned to a CPU"
    cpu = max(os.sched_getaffinity(0)) if cpu is None else cpu
    os.sched_setaffinity(0, {cpu})
    return f"on CPU {cpu}"


def say(text):
    print(text, file=sys.stderr, flush=True)


def selected(known, names):
    wanted = names.split(",") if names else list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Failure(f"there is no peer {unknown[0]}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def main():
    asked = arguments()
    if asked.self_test:
        return selftest.run()
    if asked.rounds < 1 or asked.seconds <= 0:
        raise Failure("--rounds and --seconds are more than 0")
    tools = Tools(asked.dir)
    seconds = 0 if asked.start else asked.seconds
    chosen = selected(peers.known(tools, seconds, asked.start, asked.target), asked.peers)
    zoo = asked.networks or ([] if asked.model else ["MobileNetV2"])
    models = tools.folder / "models"
    made = [networks.make(name, models, tools, asked.int8) for name in zoo]
    made += [networks.make(file, models, tools) for file in asked.model]
    names = [network.name for network in made]
    if len(set(names)) < len(names):
        raise Failure(f"two of the networks have one name: {', '.join(names)}")
    rows = rounds.prepare(made, chosen, say)
    where = pin(asked.cpu)
    rounds.measure(rows, made, chosen, asked.rounds, say)
    rows = list(rows.values())

    how = f"One thread {where}, {asked.rounds} rounds, peers in turn, a fresh process each"
    if asked.start:
        sizes = {(n.name, p.name): p.size(n) for n in made for p in chosen if works(rows, n, p)}
        print(f"{how}.\n\n{table.start(rows, sizes)}")
    else:
        peak = table.peak_gflops(rows)
        peak = f"f32 FMA peak {peak:.1f} GFLOP/s" if peak else "mobilec was not there to measure the core's peak"
        print(f"{how}, {asked.seconds:g} s each; {peak}.\n\n{table.speed(rows)}")
    if asked.json:
        pathlib.Path(asked.json).write_text(json.dumps([vars(row) for row in rows], indent=1))
    return 0


def works(rows, network, peer):
    return any(row.network == network.name and row.peer == peer.name and not row.failure for row in rows)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"error: {failure}")
