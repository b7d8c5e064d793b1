"""Eclipse Mosquitto, a broker of MQTT, out of Debian's packages, with a client that publishes."""

import contextlib
import subprocess
from pathlib import Path

from hostile import certificate

from . import Server, Unavailable, debian, free_port, installed

USER, PASSWORD = "gateway", "col-5"
PACKAGES = ["mosquitto", "mosquitto-clients", "libmosquitto1", "libwrap0", "libdlt2", "libcjson1", "libwebsockets17"]


def unpack(folder):
    debian.unpack(folder, PACKAGES)
    if not (folder / "usr" / "sbin" / "mosquitto").exists():
        raise FileNotFoundError("no mosquitto in Debian's packages")


def install():
    files = [Path(__file__), Path(debian.__file__)]
    return installed("mosquitto", files, unpack, "Fetching Mosquitto from Debian: a few seconds")


class Mosquitto(Server):
    """A broker that keeps what it has over a kill. On another port it speaks TLS, with whom has its certificate too."""

    def prepare(self):
        self.binaries = install() / "usr"
        password = self.folder / "password"
        password.touch()
        done = subprocess.run(
            [self.binaries / "bin" / "mosquitto_passwd", "-b", password, USER, PASSWORD],
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise Unavailable(f"Mosquitto does not run here: {done.stderr[-500:]}")
        self.tls_port, self.pem = free_port(), certificate(self.folder / "broker.pem")
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nlistener {self.tls_port} 127.0.0.1\n"
            f"certfile {self.pem}\nkeyfile {self.pem}\ncafile {self.pem}\nrequire_certificate true\n"
            f"allow_anonymous false\npassword_file {password}\n"
            f"persistence true\npersistence_location {self.folder}/\nautosave_on_changes true\nautosave_interval 1\n"
            "max_queued_messages 0\nuser root\n"
        )

    def environment(self):
        return {"LD_LIBRARY_PATH": str(self.binaries / "lib" / "x86_64-linux-gnu")}

    def command(self):
        return [self.binaries / "sbin" / "mosquitto", "-c", self.folder / "mosquitto.conf"]

    def ready(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.publish("ready", ["?"])
            return True
        return False

    def url(self):
        return f"mqtt://{USER}:{PASSWORD}@127.0.0.1:{self.port}"

    def tls_url(self):
        return f"mqtts://{USER}:{PASSWORD}@127.0.0.1:{self.tls_port}"

    def client(self, topic, qos=1):
        """The command of a client that publishes each line that it reads."""
        options = ["-h", "127.0.0.1", "-p", self.port, "-u", USER, "-P", PASSWORD, "-V", "mqttv5", "-q", qos, "-t", topic]
        return [str(part) for part in [self.binaries / "bin" / "mosquitto_pub", *options]]

    def publish(self, topic, payloads, qos=1, retain=False):
        """Publish each payload, which has no line break; the broker has all of them afterwards."""
        retained = ["-r"] if retain else []
        subprocess.run(
            [*self.client(topic, qos), *retained, "-l"],
            env=self.environment(),
            input="".join(f"{payload}\n" for payload in payloads),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def clear(self, topic):
        """Take a retained message back."""
        subprocess.run([*self.client(topic), "-r", "-n"], env=self.environment(), check=True, timeout=60)

    def describe(self):
        return [f"broker: {self.url()}"]
