"""What can go wrong: every exception that this package raises on purpose is an `Error`."""


class Error(Exception):
    """Base of all exceptions of this package; its message says what to do."""


class ArgumentError(Error, ValueError):
    """An argument, or a combination of arguments, cannot be used."""


class FileError(Error, OSError):
    """A file cannot be read or written, or is not what it must be."""


class OrderError(Error, RuntimeError):
    """A call does not fit the calls before it (`feedback` before `act`, a closed recorder)."""


class CancelledError(Error):
    """Ctrl-C, or the caller, stopped the work; the message says how to go on."""


class EnvironmentFailedError(Error, RuntimeError):
    """An environment, or a policy, raised an exception (which is the cause), or never ends."""
