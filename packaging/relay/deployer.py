"""
Postfix with Headroom, where chatmail.ini has "headroom = True"; without it, Postfix as ever.

The package is one of those beside this file, RELEASE_ARCHITECTURE.deb, and must have its checksum in SHA256SUMS.
"""

from pyinfra import facts, host
from pyinfra.facts.deb import DebPackages
from pyinfra.facts.files import Sha256File
from pyinfra.facts.server import Command
from pyinfra.operations import files, server

from cmdeploy.basedeploy import get_resource
from cmdeploy.postfix.deployer import PostfixDeployer as StockPostfixDeployer

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
RELEASE = ". /etc/os-release; echo $VERSION_CODENAME"
# Kept there as the mark of what is installed: written last.
INSTALLED = "/root/headroom.deb"


def pinned(release, architecture):
    """The package for this machine, and its checksum."""
    name = f"{release}_{ARCHITECTURES.get(architecture, architecture)}.deb"
    for line in get_resource("headroom/SHA256SUMS").read_text().splitlines():
        sha256sum, _, file = line.partition("  ")
        if file == name:
            return name, sha256sum
    raise ValueError(
        f"headroom = True in chatmail.ini, but cmdeploy/src/cmdeploy/headroom has no {name}:"
        f" run Headroom's packaging/relay/apply with {release}=PACKAGE"
    )


class PostfixDeployer(StockPostfixDeployer):
    def install(self):
        super().install()
        if not self.config.headroom:
            return
        name, sha256sum = pinned(
            host.get_fact(Command, RELEASE), host.get_fact(facts.server.Arch)
        )
        if host.get_fact(Sha256File, INSTALLED) == sha256sum and host.get_fact(
            DebPackages
        ).get("headroom"):
            return
        new = f"/root/headroom-{sha256sum[:16]}.deb"
        files.put(
            name=f"Upload {new}", src=get_resource(f"headroom/{name}"), dest=new
        )
        server.shell(
            name="Install headroom",
            commands=[
                f"echo '{sha256sum}  {new}' | sha256sum -c",
                "DEBIAN_FRONTEND=noninteractive apt-get -y --reinstall --allow-downgrades"
                f" -o Dpkg::Options::=--force-confold install {new}",
                f"mv {new} {INSTALLED}",
            ],
        )
        # Debian 13's unit gives the package's drop-in its effect with a restart only.
        self.need_restart = True
        self.daemon_reload = True

    def configure(self):
        # The unit that runs Postfix is postfix@-.service in Debian 12, postfix.service later.
        units = ["postfix@-"]
        if host.get_fact(Command, RELEASE) != "bookworm":
            units.append("postfix")
        for unit in units:
            path = f"/etc/systemd/system/{unit}.service.d/20_headroom_restart.conf"
            if self.config.headroom:
                self.put_file("headroom/restart.conf", path)
            else:
                self.remove_file(path)
        super().configure()
