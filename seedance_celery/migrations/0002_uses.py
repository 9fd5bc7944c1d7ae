from typing import Any

from django.db import migrations, models
from django.db.models import Count, F

import seedance_celery.models.fields


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
            field=seedance_celery.models.fields.OpaqueField(
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
            field=seedance_celery.models.fields.OpaqueField(
                default="", max_length=255, verbose_name="key"
            ),
            preserve_default=False,
        ),
        migrations.AlterField(
            model_name="kepttask",
            name="celery_id",
            field=seedance_celery.models.fields.OpaqueField(
                max_length=255, verbose_name="Celery id"
            ),
        ),
        migrations.RunPython(know_each_task_by_its_celery_id, let_no_two_tasks_have_one_celery_id),
        migrations.AlterField(
            model_name="kepttask",
            name="key",
            field=seedance_celery.models.fields.OpaqueField(
                max_length=255, unique=True, verbose_name="key"
            ),
        ),
        migrations.AddIndex(
            model_name="kepttask",
            index=models.Index(fields=["celery_id"], name="seedance_kept_celery_id"),
        ),
    ]
