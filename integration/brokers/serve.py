"""A cluster as a child process: commands in on standard input, one JSON object out for each, the end at end of file."""
import json
import signal
import sys

from .common import log, tail


def serve(cluster):
    """Starts the cluster, then obeys `kill N`, `pause N`, `resume N`, `stop N`, `start N [VERSION]`, `restart N [VERSION]`, `logs`,
    and where there is a realm `ticket FILE SECONDS`.

    Whoever started us holds the other end of standard input. When that process ends, however it ends, we read
    end of file and take the brokers with us.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C goes to the whole group; our parent's end tells us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cluster.start()
        answer(cluster.describe())
        for line in sys.stdin:
            try:
                answer(obey(cluster, line.split()))
            except SystemExit as failure:
                answer({'error': str(failure)})
            except Exception as failure:    # the caller is to see it, and to go on or stop as it likes
                answer({'error': f'{type(failure).__name__}: {failure}'})
    except SystemExit as failure:
        if isinstance(failure.code, str):
            log(failure.code)
        raise
    finally:
        cluster.close()


def obey(cluster, words):
    if words == ['logs']:
        return {str(node): tail(cluster.folder(node) / 'server.log', 15) for node in cluster.ports}
    if words[0] == 'ticket':
        cluster.realm.log_in(words[1], int(words[2]))
        return cluster.describe()
    verb, node, version = words[0], int(words[1]), words[2] if len(words) > 2 else None
    if verb == 'kill':
        cluster.kill(node)
    elif verb == 'pause':
        cluster.signal(node, signal.SIGSTOP)
    elif verb == 'resume':
        cluster.signal(node, signal.SIGCONT)
    elif verb == 'stop':
        cluster.stop(node)
    elif verb == 'start':
        cluster.start_node(node, version)
    elif verb == 'restart':
        cluster.stop(node)
        cluster.start_node(node, version)
    else:
        raise ValueError(f'unknown command {verb}')
    return cluster.describe()


def answer(value):
    print(json.dumps(value), flush=True)
