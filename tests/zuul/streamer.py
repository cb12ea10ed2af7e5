"""The log streamer of a Zuul executor, over the job directories in the folder given as first argument.

It must never touch the logs: the test writes them, and ends a stream as Zuul does, by removing the file.
"""

import sys

from zuul.lib.log_streamer import LogStreamer

import steering

if __name__ == "__main__":
    streamer = LogStreamer("127.0.0.1", 0, sys.argv[1])
    steering.serve({}, {"port": streamer.server.socket.getsockname()[1]})
