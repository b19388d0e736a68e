"""Boards, and what builds and reaches them."""
