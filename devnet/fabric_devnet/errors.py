"""What can go wrong while a development network runs.

DevnetError
├─ SpecError            the asked-for network makes no sense; change the specification
├─ BackendUnavailable   what the backend needs is missing on this machine (FABRIC_HOME, a binary)
├─ NotSupported         the chosen backend does not do this
└─ NodeFailed           a peer or orderer ended, or did not become ready in time
"""


class DevnetError(Exception):
    """Any failure of the development network itself."""


class SpecError(DevnetError):
    """The specification cannot be built: the message names the field and the accepted values."""


class BackendUnavailable(DevnetError):
    """The backend cannot run on this machine: the message says what to install or set."""


class NotSupported(DevnetError):
    """The chosen backend does not offer this."""


class NodeFailed(DevnetError):
    """A node ended or never became ready: the message names the node and its log file."""
