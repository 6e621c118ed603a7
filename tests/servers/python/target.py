"""A program instrumented with the real Python client of Prometheus: `target.py PORT SEED`.

It serves its metrics on the loopback address. Every scrape moves them, the same way for the same seed, and what was
exposed is kept: a line `exposed` on standard input is answered with one line of JSON, a list with one object a scrape.
A line `hold` ends the moving, so that several scrapers see the same. The end of standard input ends the program.
"""

import json
import random
import sys
import threading
from wsgiref.simple_server import make_server

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer, _SilentHandler
from prometheus_client.utils import floatToGoString

PATHS = ["/", "/cart", '/quo"ted', "/back\\slash", "/new\nline", "/grüße", ""]
VALUES = [0.0, -0.0, 1.0, -17.25, 1e-300, 5e-324, 1.7976931348623157e308, 2.0**53 + 2, 0.1 + 0.2, float("inf"), float("-inf")]


class Application:
    """What is instrumented."""

    def __init__(self, registry, seed):
        self.random = random.Random(seed)
        self.requests = Counter("shop_requests", "Requests, of\nevery \\ kind.", ["path", "code"], registry=registry)
        self.stock = Gauge("shop_stock", "Items in stock.", ["item"], registry=registry)
        self.lone = Gauge("shop_nothing", "Not a number.", registry=registry)
        self.latency = Histogram("shop_latency_seconds", "Time to answer.", ["path"], registry=registry)
        self.size = Summary("shop_size_bytes", "Size of answers.", registry=registry)
        self.build = Info("shop_build", "How it was built.", registry=registry)
        self.state = Enum("shop_state", "What it does.", states=["open", "closed"], registry=registry)
        self.dotted = Gauge("shop.temperature", "A name beyond the old ones.", ["room.name"], registry=registry)
        self.lone.set(float("nan"))
        self.build.info({"version": "1.2.3", "branch": "main"})

    def move(self):
        """One step on."""
        for path in PATHS:
            exemplar = {"trace_id": f"{self.random.getrandbits(64):016x}"} if self.random.random() < 0.5 else None
            self.requests.labels(path, self.random.choice(["200", "500"])).inc(self.random.randint(0, 1000), exemplar)
            self.latency.labels(path).observe(self.random.expovariate(3), exemplar)
            self.dotted.labels(path).set(self.random.gauss(20, 5))
        for item, value in enumerate(VALUES):
            # A series comes and goes.
            if self.random.random() < 0.9:
                self.stock.labels(str(item)).set(value)
            elif (str(item),) in self.stock._metrics:
                self.stock.remove(str(item))
        self.size.observe(self.random.randint(1, 10**6))
        self.state.state(self.random.choice(["open", "closed"]))


def snapshot(registry):
    """The samples of all metrics, values in the words of the text format."""
    return [
        {"name": sample.name, "labels": sample.labels, "value": floatToGoString(sample.value)}
        for family in registry.collect()
        for sample in family.samples
    ]


def main():
    port, seed = int(sys.argv[1]), int(sys.argv[2])
    registry = CollectorRegistry()
    application = Application(registry, seed)
    wsgi = make_wsgi_app(registry)
    lock = threading.Lock()
    exposed = []
    moving = True

    def serve(environ, start_response):
        with lock:
            if moving:
                application.move()
            headers = []

            def start(status, fields):
                headers.extend(fields)
                return start_response(status, fields)

            body = wsgi(environ, start)
            exposed.append({"content_type": dict(headers)["Content-Type"], "samples": snapshot(registry)})
            return body

    server = make_server("127.0.0.1", port, serve, ThreadingWSGIServer, handler_class=_SilentHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("READY", flush=True)
    for line in sys.stdin:
        with lock:
            if line.strip() == "hold":
                moving = False
                print("held", flush=True)
            else:
                print(json.dumps(exposed), flush=True)


main()
