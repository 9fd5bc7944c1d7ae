import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [("seedance_celery", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="Film",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=100)),
                ("is_ready", models.BooleanField(default=False)),
                ("is_refunded", models.BooleanField(default=False)),
                ("file", models.CharField(blank=True, max_length=200)),
                ("mails", models.PositiveIntegerField(default=0)),
                (
                    "video",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="film",
                        to="seedance_celery.video",
                    ),
                ),
            ],
        ),
    ]
