"""What every stage is: a folder and a cluster in it, which are begun and ended together."""

import os
import shutil
import tempfile

from cluster import Failure, note


class NodeStage:
    """`with …Stage(report) as stage:` starts everything and stops it at the end, whatever happened in between.

    `cluster` is the subclass's; it begins more in `set_up`, and ends that in `clear_away`. ACCEPTANCE_KEEP=1 in the
    environment keeps the folder with every program's log though all went well.
    """

    # What ends a case and is no failure.
    harmless = (None,)

    def __init__(self, report, name):
        self.report = report
        self.folder = tempfile.mkdtemp(prefix=f"understudy-{name}-")

    def __enter__(self):
        try:
            self.set_up()
        except BaseException:
            self.__exit__(Failure, None, None)
            raise
        return self

    def __exit__(self, kind, *_):
        self.clear_away()
        if kind in self.harmless and self.report.failed == 0 and not os.environ.get("ACCEPTANCE_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            note(f"  logs are kept in {self.folder}")

    def set_up(self):
        self.cluster.start()

    def clear_away(self):
        self.cluster.stop()

    @property
    def nodes(self):
        return self.cluster.nodes

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Writes a file beside the nodes; answers its path."""
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)
