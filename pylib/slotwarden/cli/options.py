"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ChannelOption = Annotated[str, typer.Option("--channel", "-c", help="The channel.")]
