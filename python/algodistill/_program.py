"""The command line program `algodistill`."""

import signal
import sys

from algodistill import _native


def main() -> int:
    """Run the program on the arguments of the process."""
    # The work is in Rust, where Python's own handler would never be asked.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.run_program(["algodistill", *sys.argv[1:]])
