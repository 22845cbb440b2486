"""A proxy that others have written, for clients to go through: microsocks (SOCKS 5) or tinyproxy (HTTP CONNECT)."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile

from .cluster import die_with_parent, wait_port
from .common import HOME

HTTP = """Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
Timeout 600
LogLevel Connect
"""


def serve(kind, user, password):
    """Starts one on a free port, says where it is, and what it has logged for each line that comes in; ends with those."""
    HOME.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix='proxy-', dir=HOME)
    try:
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(('127.0.0.1', 0))
            port = holder.getsockname()[1]
            log = os.path.join(folder, 'log')
            process = start(kind, port, user, password, folder, log)
            try:
                wait_port(port, process, log)
                print(json.dumps({'port': port}), flush=True)
                for _ in sys.stdin:
                    with open(log, errors='replace') as lines:
                        print(json.dumps({'log': lines.read()}), flush=True)
            finally:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(kind, port, user, password, folder, log):
    if kind == 'socks5':
        command = ['microsocks', '-i', '127.0.0.1', '-p', str(port)]
        if user:
            command += ['-u', user, '-P', password]
    else:
        text = HTTP.format(port=port) + (f'BasicAuth {user} {password}\n' if user else '')
        with open(os.path.join(folder, 'tinyproxy.conf'), 'w') as file:
            file.write(text)
        command = ['tinyproxy', '-d', '-c', file.name]
    try:
        with open(log, 'wb') as out:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder,
                                    start_new_session=True, preexec_fn=die_with_parent)
    except FileNotFoundError:
        sys.exit(f'{command[0]} is not installed: run integration/setup')
