"""Datasets that leave this machine or come from the Hub."""
