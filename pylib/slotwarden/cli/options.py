"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ChannelOption = Annotated[str, typer.Option("--channel", "-c", help="The channel.")]
TypeArgument = Annotated[
    str, typer.Argument(metavar="TYPE", help="A video type of the channel, such as final.")
]
IdArgument = Annotated[
    int, typer.Argument(metavar="ID", help="Number of the reservation, as in the calendar.")
]
VideoOption = Annotated[
    str | None,
    typer.Option(help="What your application calls the video; one live booking a channel."),
]
VersionOption = Annotated[
    int | None,
    typer.Option(help="Refuse if the reservation has changed since it had this version."),
]
KeyOption = Annotated[
    str | None,
    typer.Option(help="Request key: repeating the call under its key does nothing twice."),
]
