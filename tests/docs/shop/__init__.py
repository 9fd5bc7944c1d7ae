"""The app that the how-to guides take for granted."""
