"""This machine's clock beside the service's: AWS refuses what is signed five minutes too early or too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.aws.http_dates import read_date_us
from exporter.doctor.check import Check
from exporter.ivs.service_time import FAR_US
from exporter.timestamps import MINUTE_US, SECOND_US, text_of

if TYPE_CHECKING:
    from exporter.doctor.way import WayToAws

NAME = "clock"
#: Source: AWS General Reference, "Elements of an AWS API request signature": five minutes. One is left for the way.
_REFUSED_US = 4 * MINUTE_US
_NOTED_US = 30 * SECOND_US


async def check_clock(way: WayToAws) -> Check:
    """Compare the local clock with the ``Date`` of the answers that the network was checked by; no call is made.

    Where a signed call was accepted, the local clock is right, and a date that is far from it is not AWS's.
    """
    offs = {
        host: (date_us - local_us, local_us)
        for host, (date, local_us) in way.dates.items()
        if (date_us := read_date_us(date)) is not None
    }
    if not offs:
        detail = "no answer has a Date: something between here and AWS takes it away"
        return Check(NAME, "warning", detail, "look at the proxy, gateway or endpoint in use")
    host, (off_us, local_us) = max(offs.items(), key=lambda item: abs(item[1][0]))
    both = f"this machine's clock says {text_of(local_us)}, and {host} {text_of(local_us + off_us)}"
    if way.is_accepted and abs(off_us) > FAR_US:
        detail = f"{both}, but takes signatures of this clock: that Date is not AWS's"
        return Check(NAME, "warning", detail, "look for what answers in between, a proxy or gateway")
    if abs(off_us) > _REFUSED_US and not way.is_accepted:
        return Check(NAME, "failed", both, "set this machine's clock, and keep it by NTP")
    if abs(off_us) > _NOTED_US:
        return Check(NAME, "warning", both, "set this machine's clock, and keep it by NTP")
    return Check(NAME, "ok", f"within {max(1, abs(off_us) // SECOND_US)} s of {host}'s")
