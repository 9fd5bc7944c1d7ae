"""The template tags, which show a video with its progress on a page."""
