from typing import Any

from django.db import migrations, models
from django.db.models import Count, F

import seedance_celery.db.fields


def know_each_task_by_its_celery_id(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("seedance_celery", "KeptTask").objects.using(
        schema_editor.connection.alias
    )
    rows.update(key=F("celery_id"))


def let_no_two_tasks_have_one_celery_id(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("seedance_celery", "KeptTask").objects.using(
        schema_editor.connection.alias
    )
    shared = rows.values("celery_id").annotate(uses=Count("pk")).filter(uses__gt=1)
    for celery_id in list(shared.values_list("celery_id", flat=True)):
        first = rows.filter(celery_id=celery_id).order_by("pk").first()
        rows.filter(celery_id=celery_id).exclude(pk=first.pk).update(celery_id=F("key"))


class Migration(migrations.Migration):
    dependencies = [("seedance_celery", "0001_initial")]

    operations = [
        migrations.RenameField("video", "create_celery_id", "create_key"),
        migrations.AlterField(
            model_name="video",
            name="create_key",
            field=seedance_celery.db.fields.OpaqueField(
                blank=True, max_length=255, null=True, unique=True, verbose_name="create's key"
            ),
        ),
        migrations.AddField(
            model_name="kepttask",
            name="argument",
            field=models.CharField(blank=True, max_length=64, verbose_name="argument"),
        ),
        migrations.AddField(
            model_name="kepttask",
            name="key",
            field=seedance_celery.db.fields.OpaqueField(
                default="", max_length=255, verbose_name="key"
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="kepttask",
            name="celery_id",
            field=seedance_celery.db.fields.OpaqueField(max_length=255, verbose_name="Celery id"),
        ),
        migrations.RunPython(know_each_task_by_its_celery_id, let_no_two_tasks_have_one_celery_id),
        migrations.AlterField(
            model_name="kepttask",
            name="key",
            field=seedance_celery.db.fields.OpaqueField(
                max_length=255, unique=True, verbose_name="key"
            ),
        ),
        migrations.AddIndex(
            model_name="kepttask",
            index=models.Index(fields=["celery_id"], name="seedance_kept_celery_id"),
        ),
        migrations.AddField(
            model_name="accountstate",
            name="evidence",
            field=models.JSONField(blank=True, default=dict, verbose_name="evidence"),
        ),
        migrations.AddField(
            model_name="video",
            name="evidence",
            field=models.JSONField(blank=True, default=dict, verbose_name="evidence"),
        ),
        migrations.AddField(
            model_name="video",
            name="final_polls",
            field=models.PositiveSmallIntegerField(
                default=0, verbose_name="polls with a final word"
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="final_since",
            field=models.DateTimeField(blank=True, null=True, verbose_name="final word since"),
        ),
        migrations.AddField(
            model_name="video",
            name="order_digest",
            field=models.CharField(
                blank=True, default="", max_length=64, verbose_name="order's digest"
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="store_tries",
            field=models.JSONField(blank=True, null=True, verbose_name="store tries"),
        ),
        migrations.AlterField(
            model_name="video",
            name="api_id",
            field=seedance_celery.db.fields.OpaqueField(
                blank=True, max_length=512, null=True, verbose_name="API id"
            ),
        ),
        migrations.CreateModel(
            name="UsedKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("account", models.CharField(max_length=64, verbose_name="account")),
                (
                    "idempotency_key",
                    seedance_celery.db.fields.OpaqueField(
                        max_length=255, verbose_name="idempotency key"
                    ),
                ),
                ("video_pk", models.UUIDField(verbose_name="video's primary key")),
                ("api_id", models.CharField(blank=True, max_length=512, verbose_name="API id")),
                ("removed_at", models.DateTimeField(verbose_name="removed at")),
            ],
            options={
                "verbose_name": "used key",
                "verbose_name_plural": "used keys",
                "indexes": [
                    models.Index(fields=["account", "idempotency_key"], name="seedance_used_key"),
                    models.Index(fields=["removed_at"], name="seedance_used_key_age"),
                ],
            },
        ),
        migrations.AddField(
            model_name="upkeep",
            name="sweeper",
            field=models.UUIDField(null=True, verbose_name="sweeper"),
        ),
        migrations.AddField(
            model_name="upkeep",
            name="sweeping_until",
            field=models.DateTimeField(null=True, verbose_name="sweeping until"),
        ),
        migrations.AlterField(
            model_name="upkeep",
            name="swept_at",
            field=models.DateTimeField(null=True, verbose_name="swept at"),
        ),
    ]
