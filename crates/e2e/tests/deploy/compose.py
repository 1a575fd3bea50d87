"""Runs what docker-compose.yml describes, without containers: in a network of its own, where each service has the address
that its name stands for. Rotel stands in for Jaeger: both take OTLP on port 4317.

    compose.py REPOSITORY BATON DIRECTORY PROMETHEUS ROTEL
"""

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import yaml

repository, baton, directory, prometheus, rotel = sys.argv[1:6]
with open(f"{repository}/deploy/docker-compose.yml") as file:
    services = yaml.safe_load(file)["services"]

addresses = {name: f"127.0.1.{number}" for number, name in enumerate(services, 1)}
with open("hosts", "w") as hosts:
    hosts.write("127.0.0.1 localhost\n" + "".join(f"{ip} {name}\n" for name, ip in addresses.items()))
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["mount", "--bind", "hosts", "/etc/hosts"], check=True)

running = []


def start(name, command, **environment):
    log = open(f"{name}.log", "w")
    environment["PATH"] = os.environ["PATH"]
    running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, env=environment))


def eventually(what, probe):
    for _ in range(600):
        try:
            found = probe()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def query(text):
    url = "http://127.0.0.1:9090/api/v1/query?query=" + urllib.parse.quote(text)
    return json.load(urllib.request.urlopen(url))["data"]["result"]


try:
    start(
        "jaeger",
        [rotel, "start", "--otlp-grpc-endpoint", f"{addresses['jaeger']}:4317", "--otlp-http-endpoint", "127.0.0.1:4318"]
        + ["--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"]
        + ["--pid-file", "rotel.pid", "--log-file", "rotel.log"],
    )
    for name, service in services.items():
        if service["image"] == "baton":
            environment = {
                key: value.replace("0.0.0.0", addresses[name]) for key, value in service["environment"].items()
            }
            start(name, [baton, *service["command"]], BATON_DATA_DIR=f"{directory}/{name}", **environment)
    start(
        "prometheus",
        [prometheus, f"--config.file={repository}/deploy/prometheus.yml", "--storage.tsdb.path=tsdb"]
        + ["--web.listen-address=127.0.0.1:9090"],
    )
    client = [sys.executable, f"{repository}/examples/taskmanager/client.py", *services["client"]["command"]]
    output = subprocess.run(client, capture_output=True, text=True)
    print(output.stdout, output.stderr, sep="")
    lines = output.stdout.splitlines()
    assert lines[1:] == ["QUEUED", "IN_PROGRESS", "COMPLETED", "now COMPLETED"], lines
    eventually("all four to be scraped", lambda: query("sum(up) == 4"))
    eventually("the task to be counted", lambda: query('sum(baton_tasks_finished_total{outcome="completed"}) == 1'))
    eventually("the two workers", lambda: query('baton_workers{status="connected"} == 2'))
    # Until the gateway's span is there as well, it may be on its way.
    names = ["taskmanager.TaskManager/SubmitTask", "task.accept", "task.wait", "task.run"]
    eventually("the trace", lambda: all(name in open("jaeger.log").read() for name in names))
    print("all as described")
finally:
    for process in reversed(running):
        process.terminate()
    for process in running:
        process.wait()
