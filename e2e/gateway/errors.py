"""Why a run of the gateway could not be made, in one class that the entry point tells without a traceback."""

from __future__ import annotations


class GatewayError(Exception):
    """The gateway cannot be set up; the message says why, and the way out."""
