"""The collector: who may collect, and what lands that a collector left behind."""

from collector import WEB, Collector, post


def test_ingest_lands_what_a_killed_collector_left(project):
    project.write({"sources/web.yml": WEB.replace("300ms", "1h")})
    collector = Collector(project)
    body = {"batch": [{"type": "page", "userId": "u", "messageId": str(number)} for number in range(50)]}
    assert post(collector.url, "/v1/batch", body) == 200
    # While it runs, it alone lands its log.
    project.run("ingest")
    collector.kill()
    project.run("ingest")
    assert project.value("select count(distinct event_id) from raw_web.segment") == "50"
    project.run("ingest")
    assert project.value("select count(*) from raw_web.segment") == "50"


def test_a_second_collector_is_refused(project):
    project.write({"sources/web.yml": WEB})
    collector = Collector(project)
    result = project.run("up", "--addr", "127.0.0.1:0", code=1)
    assert "another process collects the same" in result.err
    collector.stop()
