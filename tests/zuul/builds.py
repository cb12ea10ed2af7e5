"""Plays the parts of Zuul that write to ZooKeeper, and shows what Zuul reads there, with Zuul's own classes.

It must never write by itself what a class of Zuul's would write; raw znodes are only for what Zuul never writes.
A *world* is one ZooKeeper client: one chroot, so that tests do not see each other.
"""

import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from kazoo.client import KazooClient
from zuul.model import BuildRequest
from zuul.model_api import MODEL_API
from zuul.zk import ZooKeeperClient
from zuul.zk.components import COMPONENT_REGISTRY, ComponentRegistry
from zuul.zk.executor import ExecutorApi

import steering

worlds = {}

# What Zuul writes depends on the one registry that a process of Zuul's has. Here every world has its own, and writes
# in the newest format.
COMPONENT_REGISTRY.registry = SimpleNamespace(model_api=MODEL_API)


class World:
    """One client of ZooKeeper, with what it wrote."""

    def __init__(self, hosts, tls):
        self.hosts = hosts
        self.tls = tls
        self.client = ZooKeeperClient(hosts, timeout=30, **tls)
        self.client.connect()
        self.kazoo = self.client.client
        self.executors = ExecutorApi(self.client, use_cache=False)
        self.components = {}
        self.changed = threading.Condition()
        self.registry = ComponentRegistry(self.client)
        self.registry.registerCallback(self.notice)

    def notice(self):
        with self.changed:
            self.changed.notify_all()

    def view(self):
        """Every component as Zuul sees it, by kind."""
        return {kind: [{**one.content, "path": one.path} for one in found] for kind, found in self.registry.all()}

    def await_view(self, accept, seconds):
        """Waits until `accept` says yes to the view, and returns the view."""
        with self.changed:
            if not self.changed.wait_for(lambda: accept(self.view()), seconds):
                raise TimeoutError(f"after {seconds} s Zuul's ComponentRegistry still shows {self.view()}")
            return self.view()


def open_world(world, hosts, tls=None):
    """Connects a world; `tls` holds tls_cert, tls_key and tls_ca."""
    worlds[world] = World(hosts, tls or {})


def submit(world, uuid, zone=None, worker=None, tenant="tenant-one", pipeline="check"):
    """What the scheduler does for a new build and, given a worker, what the executor does that takes it."""
    request = BuildRequest(uuid, zone, "build-set", "job", tenant, pipeline, "event", precedence=200)
    api = worlds[world].executors
    api.submit(request, {"job": "params"})
    if worker is not None:
        change(world, uuid, worker)


def change(world, uuid, worker, state=BuildRequest.RUNNING):
    """What an executor does when it takes a build, or moves it on."""
    api = worlds[world].executors
    request = api.getRequest(uuid)
    request.worker_info = worker
    request.state = state
    api.update(request)


def remove(world, uuid):
    """What the scheduler does when a build has ended."""
    api = worlds[world].executors
    api.remove(api.getRequest(uuid))


def register(world, name, kind, hostname, state="running", version="14.3.0", model_api=MODEL_API, more=None):
    """Registers a component as its program does. `more` holds the attributes of its kind."""
    here = worlds[world]
    component = here.registry.COMPONENT_CLASSES[kind](here.client, hostname, version=version)
    component.content.update(more or {})
    component.register(model_api)
    component.state = state
    here.components[name] = component
    here.await_view(lambda view: {**component.content, "path": component.path} in view.get(kind, []), 20)
    return component.path


def unregister(world, name):
    """Takes a component away, as the end of its session would."""
    here = worlds[world]
    here.kazoo.delete(here.components.pop(name).path)


def view(world):
    """Every component that Zuul sees, and the data model version that follows from all of them."""
    here = worlds[world]
    return {"components": here.view(), "model_api": here.registry.model_api}


def fresh_view(world):
    """The same, as a component of Zuul's sees it that starts now."""
    here = World(worlds[world].hosts, worlds[world].tls)
    try:
        return {"components": here.view(), "model_api": here.registry.model_api}
    finally:
        here.client.disconnect()


def await_components(world, kind, where, count, seconds=30):
    """Waits until Zuul sees exactly `count` components of `kind` with all the values in `where`; returns them."""
    def matching(seen):
        return [c for c in seen.get(kind, []) if all(c.get(key) == value for key, value in where.items())]
    return matching(worlds[world].await_view(lambda seen: len(matching(seen)) == count, seconds))


def children(world, path):
    """The names below a znode."""
    return sorted(worlds[world].kazoo.get_children(path))


def read(world, path):
    """A znode's text, and the session that keeps it, if it is ephemeral."""
    data, stat = worlds[world].kazoo.get(path)
    return {"text": data.decode(), "session": stat.owner_session_id}


def write(world, path, text):
    """Writes a znode that no class of Zuul's would write."""
    kazoo = worlds[world].kazoo
    if kazoo.exists(path):
        kazoo.set(path, text.encode())
    else:
        kazoo.create(path, text.encode(), makepath=True)


def expire(world, path):
    """Ends the session that keeps an ephemeral znode, as ZooKeeper does with a client it no longer hears."""
    here = worlds[world]
    _, stat = here.kazoo.get(path)
    session = stat.ephemeralOwner
    tls = {"use_ssl": True, "certfile": here.tls["tls_cert"], "keyfile": here.tls["tls_key"],
           "ca": here.tls["tls_ca"]} if here.tls else {}
    # Whoever knows id and password may take a session over, and close it.
    thief = KazooClient(here.hosts, client_id=(session, _password(session)), **tls)
    thief.start(20)
    thief.stop()
    thief.close()
    # A taker-over with a wrong password would have got a session of its own.
    if here.kazoo.exists(path):
        raise RuntimeError(f"{path} outlived its session")


def _password(session):
    """ZooKeeper's own: `new java.util.Random(session ^ 0xB3415C00).nextBytes(16)`."""
    seed = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & ((1 << 48) - 1)
    words = []
    for _ in range(4):
        seed = (seed * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        words.append((seed >> 16) & 0xFFFFFFFF)
    return struct.pack("<4I", *words)


def empty(world):
    """Removes every build and component, as an operator does who deletes Zuul's state; sessions stay."""
    here = worlds[world]
    here.kazoo.delete("/zuul/executor", recursive=True)
    for kind in here.kazoo.get_children("/zuul/components"):
        for name in here.kazoo.get_children(f"/zuul/components/{kind}"):
            here.kazoo.delete(f"/zuul/components/{kind}/{name}")


def churn(world, prefix, changes, a_second):
    """Submits and removes builds at a steady rate; returns how many seconds it took."""
    begun = time.monotonic()
    for number in range(changes):
        uuid = f"{prefix}{number // 2:08x}"
        if number % 2 == 0:
            submit(world, uuid)
        else:
            remove(world, uuid)
        time.sleep(max(0, begun + (number + 1) / a_second - time.monotonic()))
    return time.monotonic() - begun


def live(world, prefix, builds, a_second, tenant):
    """Has builds submitted, taken by an executor and removed, `a_second` such changes a second; returns what was asked
    for when, by the machine's monotonic clock in nanoseconds. About a hundred builds live at a time."""
    worker = {"hostname": "127.0.0.1", "log_port": 7900, "zone": None}
    stages = {
        "submitted": lambda uuid: submit(world, uuid, tenant=tenant),
        "taken": lambda uuid: change(world, uuid, worker),
        "removed": lambda uuid: remove(world, uuid),
    }
    asked = []

    def ask(stage, uuid):
        asked.append((stage, uuid, time.monotonic_ns()))
        stages[stage](uuid)

    # Some at a time, as schedulers and executors do. A build's stages are too far apart to overtake each other.
    with ThreadPoolExecutor(4) as pool:
        asking = []
        begun = time.monotonic()
        for newest in range(builds + 100):
            for stage, number in zip(stages, (newest, newest - 50, newest - 100)):
                if 0 <= number < builds:
                    time.sleep(max(0, begun + len(asking) / a_second - time.monotonic()))
                    asking.append(pool.submit(ask, stage, f"{prefix}{number:08x}"))
        for one in asking:
            one.result()
    return asked


if __name__ == "__main__":
    steering.serve({
        "open": open_world, "submit": submit, "change": change, "remove": remove, "register": register,
        "unregister": unregister, "view": view, "fresh_view": fresh_view, "await_components": await_components,
        "children": children, "read": read, "write": write, "expire": expire, "empty": empty, "churn": churn,
        "live": live,
    }, {"model_api": MODEL_API})
