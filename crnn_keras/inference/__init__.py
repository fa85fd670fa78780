"""Saved readers put to use: recognizers, export."""
