#!/usr/bin/env python3
"""usage: relay.py --listen HOST[:PORT] --node HOST[:PORT] --node HOST[:PORT]... [--seed N]

The worst balancer there can be: it deals every single datagram from a phone to a random node, retransmissions, CANCEL,
ACK and answers included. A cluster that passes behind it does not depend on what stands in front of it.

It reads SIP but writes none: no Via, no Record-Route, no parameter is added, so for the SIP elements it is not there.

    phone ── any request or answer ──▶ relay ──▶ a random live node        (the node sees the relay's address as source)
    node  ── answer ────────────────▶ relay ──▶ the phone of the topmost Via's sent-by
    node  ── request ───────────────▶ relay ──▶ counted as `astray` and dropped: nodes never send those here

An answer from a node reaches the relay because the request's source was the relay's address; its topmost Via is the
phone's own, which names where the phone is. Phones that send their answers here instead of to the node's Via make a
random node receive them.
"""

import argparse
import random
import signal
import sys
from collections import Counter

sys.dont_write_bytecode = True

import sip
from loop import Loop, udp_socket


class Relay:
    """Runs on a loop of its own. `live` may be replaced at any time by another list of (host, port)."""

    def __init__(self, address, nodes, seed=1, namespace=None):
        self.loop = Loop()
        self.address, self.live = address, list(nodes)
        self.node_hosts = {host for host, _ in nodes}
        self.random = random.Random(seed)
        self.counts = Counter()
        self.sock = udp_socket(address, namespace)
        self.loop.add(self.sock, self.receive)

    def start(self):
        self.loop.start()
        return self

    def close(self):
        self.loop.stop()

    def receive(self, data, source):
        if source[0] in self.node_hosts:
            self.from_node(data)
            return
        if self.live:
            node = self.random.choice(self.live)
            self.counts[node[0]] += 1
            self.send(data, node)

    def from_node(self, data):
        message = sip.parse(data)
        if message is None or message.is_request:
            self.counts["astray"] += 1
            return
        self.counts["answers"] += 1
        self.send(data, sip.endpoint_of(message.via.sent_by))

    def send(self, data, destination):
        try:
            self.sock.sendto(data, destination)
        except OSError:
            self.counts["send_errors"] += 1


def endpoint(text):
    host, _, port = text.partition(":")
    return host, int(port) if port else 5060


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", required=True, type=endpoint)
    parser.add_argument("--node", required=True, type=endpoint, action="append")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    relay = Relay(options.listen, options.node, options.seed)

    def stop(*_):
        print(dict(relay.counts))
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    relay.loop.run()


if __name__ == "__main__":
    main()
