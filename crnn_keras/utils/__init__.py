"""Helpers of all wings: files, parallel work, progress, backends."""
