"""Binaries that evaluate: flags, one library call, one write."""
