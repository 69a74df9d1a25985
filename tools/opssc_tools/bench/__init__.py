"""The benchmark of the main job: from `kubectl apply` to Ready everywhere, next to what blocks alone take.

`make bench` or `python -m opssc_tools.bench`; docs/performance.md has figures and how to read them.
"""
