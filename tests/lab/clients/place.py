# SPDX-License-Identifier: BSD-3-Clause
"""place.py NAME MATCH: what labgrid-client does with create, add-match and acquire, at once."""

from __future__ import annotations

import os
import sys

from labgrid.remote import client
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages

name, match = sys.argv[1:]
session = client.start_session(os.environ["LG_COORDINATOR"])
for request in (
    session.stub.AddPlace(messages.AddPlaceRequest(name=name)),
    session.stub.AddPlaceMatch(messages.AddPlaceMatchRequest(placename=name, pattern=match)),
    session.stub.AcquirePlace(messages.AcquirePlaceRequest(placename=name)),
):
    session.loop.run_until_complete(request)
