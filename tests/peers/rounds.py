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


def prepare(networks, peers, say):
    """One row for each network and peer, after the peer made its own form of the network."""
    rows = {(network.name, peer.name): Row(network.name, peer.name) for network in networks for peer in peers}
    for network in networks:
        for peer in peers:
            attempt("preparing", rows[network.name, peer.name], say, lambda row: peer.prepare(network))
    return rows


def measure(rows, networks, peers, rounds, say):
    """Adds a figure of each round to the rows of `prepare`."""
    for turn in range(rounds):
        for network in networks:
            for peer in order(peers, turn):
                what, row = f"round {turn + 1} of {rounds}", rows[network.name, peer.name]
                attempt(what, row, say, lambda row: row.rounds.append(peer.measure(network)))


def attempt(what, row, say, action):
    """Does something for a row; a peer that failed on a network before is not asked again there."""
    if row.failure:
        return
    say(f"{what}: {row.network}, {row.peer}")
    try:
        action(row)
    except Failure as failure:
        row.failure = str(failure)
        say(f"  {row.peer} fails on {row.network}: {failure}")
