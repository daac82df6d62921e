"""Binaries that train and export: flags, one library call, one write."""
