"""Texts and commands that the examples of several codes share."""

PHOTO = "input | present(image)"
RUN = "$ bbi run page.bbi"
