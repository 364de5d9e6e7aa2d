"""Runs ministack until its standard input ends: that is when the test process is gone, however it ended."""

import os
import signal
import threading


def end_with_the_test():
    while os.read(0, 1):
        pass
    # The functions that it runs as processes are of its group.
    os.killpg(0, signal.SIGKILL)


threading.Thread(target=end_with_the_test, daemon=True).start()

from ministack.app import main  # noqa: E402

main()
