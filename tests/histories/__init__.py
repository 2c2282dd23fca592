"""Histories of concurrent calls, and a checker that replays them through a plain model."""
