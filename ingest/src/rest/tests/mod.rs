//! Sources against a server on this machine.
