"""Messages of devices, out of a real broker: each once, while it, or whoever takes them, dies."""

import json
import random
import threading
import uuid

import pytest
from collector import Collector

SOURCE = """
kind: mqtt
broker: ${{BROKER}}
retry: {{attempts: 20, first: 100ms, max: 1s}}
flush: 200ms
wait: 300ms
limits: {{in_flight: {window}}}
streams:
  exact: {{topics: "{topic}/{{plant}}/#", qos: 2}}
  merged: {{topics: "{topic}/{{plant}}/#", key: [id], disposition: merge}}
"""


@pytest.fixture
def plant(project, mosquitto, request):
    """A project that has subscribed to topics of its own."""
    topic = request.node.name.split("[")[0]
    project.env["BROKER"] = mosquitto.url()
    project.topic = topic
    project.write({"sources/plant.yml": SOURCE.format(topic=topic, window=500)})
    project.run("ingest")
    return project


def publish(mosquitto, plant, numbers, **options):
    payloads = [json.dumps({"id": number, "t": f"{number}.50"}) for number in numbers]
    mosquitto.publish(f"{plant.topic}/7/oven", payloads, **options)


def ids(plant, stream):
    return sorted(int(number) for (number,) in plant.query(f"select id from raw_plant.{stream}"))


def test_what_is_published_between_loads_lands_once(plant, mosquitto):
    for load in range(3):
        publish(mosquitto, plant, range(load * 250, load * 250 + 250), qos=2)
        plant.run("ingest")
        plant.run("ingest")
    for stream in ("exact", "merged"):
        assert ids(plant, stream) == list(range(750))
    [row] = plant.query("select plant, mqtt_topic, mqtt_retained, t from raw_plant.exact where id = 7")
    assert row == ("7", f"{plant.topic}/7/oven", "false", "7.50")


def test_payloads_of_every_kind(project, mosquitto):
    project.env["BROKER"] = mosquitto.url()
    project.write(
        {
            "sources/kinds.yml": """
kind: mqtt
broker: ${BROKER}
streams:
  json: {topics: "kinds/json/{device_id}"}
  csv: {topics: kinds/csv, format: csv, csv: {delimiter: ";", columns: [id, t]}}
  text: {topics: kinds/text, format: text}
"""
        }
    )
    mosquitto.publish("kinds/json/x", ['{"n": 25000000000000000000000001}'], retain=True)
    project.run("ingest")
    mosquitto.publish("kinds/json/x", ['{"n": 2, "more": {"a": [1]}}', '[{"n": 3}, {"n": 4}]', "7", "{", "on"])
    mosquitto.clear("kinds/json/x")
    mosquitto.publish("kinds/csv", ["1;2.50", "2;", "x"])
    mosquitto.publish("kinds/text", ["on", "off", '{"'])
    project.run("ingest")
    rows = project.query("select n, value, device_id, mqtt_retained from raw_kinds.json order by n nulls last")
    assert [row[0] for row in rows] == ["2", "3", "4", "25000000000000000000000001", ""]
    assert rows[-1][1] == "7" and {row[2] for row in rows} == {"x"}
    assert [row[3] for row in rows] == ["false", "false", "false", "true", "false"]
    assert project.query("select id, t from raw_kinds.csv order by id") == [("1", "2.50"), ("2", "")]
    assert [value for (value,) in project.query("select value from raw_kinds.text order by value")] == ["off", "on", '{"']
    rejected = project.query("select stream, reason from ops.rejected_rows order by stream, reason")
    assert [stream for stream, _ in rejected] == ["csv", "json", "json"]
    assert "1 fields where there are 2 columns" in rejected[0][1] and rejected[1][1] == "the payload is not JSON"


def test_kill_9_of_whoever_takes_them(plant, mosquitto):
    """At random moments of a load: QoS 2 is exact, and so is QoS 1 with a key."""
    moments = random.Random(7)
    for load in range(5):
        publish(mosquitto, plant, range(load * 300, load * 300 + 300), qos=2)
        process = plant.start("ingest")
        try:
            process.wait(timeout=moments.uniform(0.05, 1.5))
        except Exception:
            process.kill()
            process.wait()
    plant.run("ingest")
    for stream in ("exact", "merged"):
        assert ids(plant, stream) == list(range(1500))


def test_the_broker_is_killed_and_comes_back(plant, mosquitto):
    """What it had acknowledged, and written down, is still there; the load goes on by itself."""
    publish(mosquitto, plant, range(500), qos=2)
    saved(mosquitto, plant)
    restarting = threading.Thread(target=mosquitto.restart)
    restarting.start()
    plant.run("ingest")
    restarting.join()
    publish(mosquitto, plant, range(500, 700), qos=2)
    # A broker that comes back may take its time, and no load waits for that; what it keeps is there for the next one.
    for _ in range(10):
        plant.run("ingest")
        if set(ids(plant, "exact")) == set(ids(plant, "merged")) == set(range(700)):
            break
    assert ids(plant, "merged") == list(range(700))
    assert set(ids(plant, "exact")) == set(range(700))


def saved(mosquitto, plant):
    """Wait until the broker has written down what it has, which it does once a second: all that came before this message
    is in a file that has it."""
    topic, said = f"saved/{plant.topic}", uuid.uuid4().hex
    mosquitto.publish(topic, [said], retain=True)
    database = mosquitto.folder / "mosquitto.db"
    event = threading.Event()
    for _ in range(600):
        if database.exists() and said.encode() in database.read_bytes():
            return
        event.wait(0.1)
    raise AssertionError("the broker writes nothing down")


def test_up_stays_connected(plant, mosquitto):
    """And a kill of it, while messages come, loses and doubles nothing."""
    sent = 0
    for _ in range(3):
        collector = Collector(plant, r"collecting plant on (mqtt://\S+)")
        try:
            for _ in range(10):
                publish(mosquitto, plant, range(sent, sent + 20), qos=2)
                sent += 20
        finally:
            collector.kill()
    collector = Collector(plant, r"collecting plant on (mqtt://\S+)")
    collector.stop()
    plant.run("ingest")
    for stream in ("exact", "merged"):
        assert ids(plant, stream) == list(range(sent))


def test_a_check_tells_what_is_wrong_and_takes_nothing(plant, mosquitto):
    publish(mosquitto, plant, range(10), qos=2)
    plant.run("ingest", "--check")
    plant.env["BROKER"] = mosquitto.url().replace("col-5", "wrong")
    assert "wrong" not in plant.run("ingest", "--check", code=2).out
    result = plant.run("ingest", code=2)
    assert "refuses us" in result.err and f"127.0.0.1:{mosquitto.port}" in result.err and "wrong" not in result.err
    plant.env["BROKER"] = mosquitto.url()
    plant.run("ingest")
    assert ids(plant, "exact") == list(range(10))


def test_over_tls_both_sides_show_their_certificates(project, mosquitto):
    project.env["BROKER"] = mosquitto.tls_url()
    source = "kind: mqtt\nbroker: ${BROKER}\nretry: {attempts: 1}\nstreams: {t: {topics: tls/+}}\n"
    project.write({"sources/tls.yml": source})
    assert "certificate" in project.run("ingest", code=3).err, "nobody vouches for the broker"
    trusting = source + f"tls: {{ca: {mosquitto.pem}}}\n"
    project.write({"sources/tls.yml": trusting})
    project.run("ingest", code=3)  # the broker wants to know who we are
    named = source + f"tls: {{ca: {mosquitto.pem}, certificate: {mosquitto.pem}, key: {mosquitto.pem}}}\n"
    project.write({"sources/tls.yml": named})
    project.run("ingest")
    mosquitto.publish("tls/x", ['{"id": 1}'])
    project.run("ingest")
    assert project.value("select id from raw_tls.t") == "1"
