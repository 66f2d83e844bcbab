# SPDX-License-Identifier: BSD-3-Clause
"""Virtual phones (`edl virtual new`) as labgrid's resources, and their power: to try it all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import attr
from labgrid.driver.common import Driver
from labgrid.factory import target_factory
from labgrid.protocol import PowerProtocol
from labgrid.remote import exporter
from labgrid.resource.common import (
    ManagedResource,
    NetworkResource,
    Resource,
    ResourceManager,
)
from labgrid.resource.remote import RemotePlaceManager
from labgrid.step import step
from labgrid.util.helper import processwrapper

from edl.lab.resources import WAIT_S, EDLExport

_ON_THE_BUS = {"boot ROM", "programmer", "hung"}  # `edl.virtual.saved.State`
_NO_POWER = "no-power"  # a file in the phone's folder, while its power is off


@attr.s(eq=False)
class FolderManager(ResourceManager):
    """Looks at the folders of virtual phones."""

    def poll(self) -> None:
        """See labgrid."""
        for phone in self.resources:
            phone.avail = phone.on_the_bus


@target_factory.reg_resource
@attr.s(eq=False)
class VirtualEDLDevice(ManagedResource):
    """A virtual phone in a folder on this host.

    Args:
        folder (str): its folder, whole path.
    """

    manager_cls = FolderManager

    folder: str = attr.ib(validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.timeout = WAIT_S

    @property
    def on_the_bus(self) -> bool:
        """Whether it is in EDL mode, and could be spoken to."""
        folder = Path(self.folder)
        try:
            told = json.loads((folder / "phone.json").read_text(encoding="utf-8"))
            return told["state"] in _ON_THE_BUS and not (folder / _NO_POWER).exists()
        except (OSError, ValueError, LookupError, TypeError):
            return False


@target_factory.reg_resource
@attr.s(eq=False)
class NetworkVirtualEDLDevice(NetworkResource, ManagedResource):
    """A virtual phone in a folder on an exporter's host.

    Args:
        folder (str): its folder there.
    """

    manager_cls = RemotePlaceManager

    folder: str = attr.ib(validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.timeout = WAIT_S


@attr.s(eq=False)
class VirtualEDLExport(EDLExport):
    """Offers a virtual phone."""

    phone: ClassVar[Any] = VirtualEDLDevice
    told: ClassVar[tuple[str, ...]] = ("folder",)


exporter.exports["VirtualEDLDevice"] = VirtualEDLExport


@target_factory.reg_resource
@attr.s(eq=False)
class VirtualEDLPower(Resource):
    """The power of a virtual phone; always there, unlike the phone.

    Args:
        folder (str): the phone's folder on this host.
    """

    folder: str = attr.ib(validator=attr.validators.instance_of(str))


@target_factory.reg_resource
@attr.s(eq=False)
class NetworkVirtualEDLPower(NetworkResource):
    """The power of a virtual phone on an exporter's host.

    Args:
        folder (str): the phone's folder there.
    """

    folder: str = attr.ib(validator=attr.validators.instance_of(str))


@attr.s(eq=False)
class VirtualPowerExport(EDLExport):
    """Offers the power of a virtual phone."""

    phone: ClassVar[Any] = VirtualEDLPower
    told: ClassVar[tuple[str, ...]] = ("folder",)


exporter.exports["VirtualEDLPower"] = VirtualPowerExport


@target_factory.reg_driver
@attr.s(eq=False)
class VirtualEDLPowerDriver(Driver, PowerProtocol):
    """Switches a virtual phone. Whenever its power comes, it enters EDL mode, as dead ones do."""

    bindings: ClassVar = {"port": {"VirtualEDLPower", "NetworkVirtualEDLPower"}}

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        env = self.target.env
        self.tool = env.config.get_tool("edl") if env else "edl"

    @Driver.check_active
    @step()
    def on(self) -> None:
        """Switch it on: it enters EDL mode."""
        self._run(self.tool, "virtual", "edl", self.port.folder)
        self._run("rm", "-f", self._mark)

    @Driver.check_active
    @step()
    def off(self) -> None:
        """Switch it off: it leaves the bus."""
        self._run("touch", self._mark)

    @Driver.check_active
    @step()
    def cycle(self) -> None:
        """Switch it off and on."""
        self.off()
        self.on()

    @Driver.check_active
    @step(result=True)
    def get(self) -> bool:
        """Return whether it is on."""
        return _NO_POWER not in self._run("ls", self.port.folder).split()

    @property
    def _mark(self) -> str:
        return f"{self.port.folder}/{_NO_POWER}"

    def _run(self, *command: str) -> str:
        said: bytes = processwrapper.check_output(self.port.wrap_command(list(command)))
        return said.decode(errors="replace")
