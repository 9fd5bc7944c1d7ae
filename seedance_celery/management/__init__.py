"""The commands, and the doctor that finds out why nothing happens."""
