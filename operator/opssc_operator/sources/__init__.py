"""Packages fetched from where an organization trusts them: downloads, repositories, and a cache of both."""
