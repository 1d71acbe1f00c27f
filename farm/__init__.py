"""Firmware in, measurements out: boards, leases, jobs and their results."""
