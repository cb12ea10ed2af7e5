"""Lets a Rust test steer a Python program: one JSON object a line in, one a line out.

It must never answer before the fact: whoever has its answer may rely on it, without sleeping.
"""

import json
import logging
import os
import sys
import threading

_output = threading.Lock()


def serve(commands, ready=None):
    """Runs `commands` (functions by name) until standard input ends, then ends the process.

    `{"id": 7, "do": NAME, ...}` calls NAME with the other keys; the answer is `{"id": 7, "ok": VALUE}` or
    `{"id": 7, "error": TEXT}`. Each call has a thread of its own, so that one may wait for what another does.
    The first line out has the id 0 and says `ready`.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    _write({"id": 0, "ok": ready})
    for line in sys.stdin:
        request = json.loads(line)
        threading.Thread(target=_answer, args=(commands, request), daemon=True).start()
    # The test is gone. Zuul's threads are not all daemons, and nothing here is worth waiting for.
    os._exit(0)


def _answer(commands, request):
    number = request.pop("id")
    try:
        answer = {"id": number, "ok": commands[request.pop("do")](**request)}
    except Exception as problem:
        logging.exception("command failed")
        answer = {"id": number, "error": f"{type(problem).__name__}: {problem}"}
    _write(answer)


def _write(answer):
    with _output:
        print(json.dumps(answer), flush=True)
