"""Gather, decide, act, report: one function per kind, and the runner."""
