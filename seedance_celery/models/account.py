"""What every worker must know about a key. A healthy key has no row."""

from __future__ import annotations

from django.db import models, router
from django.utils.translation import gettext_lazy as _

__all__ = ["AccountState"]


class AccountStateQuerySet(models.QuerySet["AccountState"]):
    def primary(self) -> AccountStateQuerySet:
        """Use the database that is written to."""
        return self.using(router.db_for_write(self.model))

    def troubled(self) -> AccountStateQuerySet:
        """Keys whose last answer was a 429 or a refusal."""
        return self.filter(strikes__gt=0)


class AccountState(models.Model):
    """The cool-down and the refusals of one account."""

    name = models.CharField(_("name"), max_length=64, primary_key=True)
    hold_until = models.DateTimeField(_("hold until"), null=True, blank=True)
    """Nothing is asked on this key before then."""
    probe_until = models.DateTimeField(_("probe until"), null=True, blank=True)
    """Until then one request tells whether a key in trouble works again; others wait."""
    strikes = models.PositiveIntegerField(_("strikes"), default=0)
    """429s and refusals in a row: what the next cool-down doubles from."""
    refused_at = models.DateTimeField(_("refused at"), null=True, blank=True)
    """Since when the API refuses the key; null while it is taken."""
    refused_reason = models.CharField(_("reason"), max_length=300, blank=True)
    evidence = models.JSONField(_("evidence"), default=dict, blank=True)
    """What the API said as it refused the key; empty while it is taken."""
    creates_hold_until = models.DateTimeField(_("creates hold until"), null=True, blank=True)
    """No create is sent before then: the balance is used up."""
    creates_day = models.DateField(_("creates counted on"), null=True, blank=True)
    """The day (UTC) that `creates` counts, where `MAX_CREATES` is set."""
    creates = models.PositiveIntegerField(_("creates on that day"), default=0)

    objects = AccountStateQuerySet.as_manager()

    class Meta:
        verbose_name = _("account state")
        verbose_name_plural = _("account states")

    def __str__(self) -> str:
        return self.name
