"""A film may be neither on its way nor failed: nobody knows."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("gallery", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="film",
            name="stage",
            field=models.CharField(
                choices=[
                    ("rendering", "rendering"),
                    ("ready", "ready"),
                    ("published", "published"),
                    ("failed", "failed"),
                    ("uncertain", "not certain"),
                ],
                default="rendering",
                max_length=16,
            ),
        ),
    ]
