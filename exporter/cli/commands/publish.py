"""``ivs-export publish``: the catalog brought up to the lake's logs."""

import click

from exporter.cli import options, setting_options
from exporter.cli.command import command, invocation_of


@command(
    setting_options.LAKE,
    *setting_options.CATALOG,
    options.REBUILD,
    options.COMPACT,
    options.DROP,
    options.CONFIG,
    options.JSON,
)
def publish(context: click.Context) -> int:
    """Bring the tables in the catalog up to what the lake has.

    Each run does the same at its end. The lake's files are added to Iceberg
    tables, each file once, even if others publish at the same time. Files
    that were removed from the lake are taken out. It needs the extra
    `catalog`, and [catalog] in the settings' file, or the variables
    IVS_EXPORT_CATALOG__KIND and IVS_EXPORT_CATALOG__PROPERTIES.

    Examples:
      ivs-export publish --config ivs-export.toml
      ivs-export publish --lake s3://my-lake/ivs --catalog glue
      ivs-export publish --rebuild
      ivs-export publish --compact
      ivs-export publish --drop
    """
    from exporter.cli import settings_sources  # noqa: PLC0415 - slow to import; --help and a wrong option do without

    settings = settings_sources.load(options.typed_settings(context), context.params["config"])
    from exporter.cli.actions import publish as publish_action  # noqa: PLC0415 - slower still; the same

    typed = context.params
    asked = publish_action.PublishRequest(typed["rebuild"], typed["compact"], typed["drop"])
    return publish_action.publish_lake(invocation_of(context), settings, asked)
