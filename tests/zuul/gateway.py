"""Zuul's own finger gateway, configured by the `zuul.conf` given as first argument, as `zuul-fingergw` runs it.

It must never differ from that program in anything a viewer could notice.
"""

import configparser
import sys

from zuul.lib.fingergw import FingerGateway

import steering

if __name__ == "__main__":
    config = configparser.ConfigParser()
    config.read(sys.argv[1])
    gateway = FingerGateway(config, None, None)
    gateway.start()
    steering.serve({"stop": gateway.stop}, {"port": gateway.server.socket.getsockname()[1]})
