"""The rounds: every peer in turn on every network, each time in a fresh process.

What the machine does beside this hits all peers alike then. The order is another in each round, so that no peer
always runs behind the same one.
"""

import dataclasses

from process import Failure


@dataclasses.dataclass
class Row:
    """What is known of a peer on a network: a figure of each round, or why there are none."""

    network: str
    peer: str
    rounds: list = dataclasses.field(default_factory=list)
    failure: str = ""


def order(peers, turn):
    """The peers in the order of a round."""
    first = turn % len(peers)
    return peers[first:] + peers[:first]


def measure(networks, peers, rounds, say):
    """One row for each network and peer. A peer that fails on a network is not asked again there."""
    rows = {(network.name, peer.name): Row(network.name, peer.name) for network in networks for peer in peers}

    def attempt(what, network, peer, action):
        row = rows[network.name, peer.name]
        if row.failure:
            return
        say(f"{what}: {network.name}, {peer.name}")
        try:
            action(row)
        except Failure as failure:
            row.failure = str(failure)
            say(f"  {peer.name} fails on {network.name}: {failure}")

    for network in networks:
        for peer in peers:
            attempt("preparing", network, peer, lambda row: peer.prepare(network))
    for turn in range(rounds):
        for network in networks:
            for peer in order(peers, turn):
                what = f"round {turn + 1} of {rounds}"
                attempt(what, network, peer, lambda row: row.rounds.append(peer.measure(network)))
    return list(rows.values())
