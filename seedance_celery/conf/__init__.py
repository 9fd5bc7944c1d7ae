"""The settings: one dict, `SEEDANCE`, read in one place into a frozen dataclass.

`settings` has the fields and what is wrong with a project's dict, `readers` a function for each
kind of value. A new setting is a field of `Settings` with its reader, default and example.
"""

from .settings import BATCH_RUN, Account, Problem, Settings, UnknownAccount, get_settings, problems

__all__ = [
    "BATCH_RUN",
    "Account",
    "Problem",
    "Settings",
    "UnknownAccount",
    "get_settings",
    "problems",
]
