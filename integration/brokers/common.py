"""Where things live, and how helpers are run: what every other file here needs."""
import contextlib
import fcntl
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get('CARGO_TARGET_DIR') or ROOT.parent / 'target').absolute()
HOME = TARGET / 'kafka'


def release(version):
    """`4.4.0` as numbers, so that releases compare."""
    return tuple(int(part) for part in version.split('.'))


def log(*words):
    print(*words, file=sys.stderr, flush=True)


def run(*command, **options):
    """Runs a helper to its end; its output is shown only when it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', **options)
    except FileNotFoundError:
        sys.exit(f'{words[0]} is not installed: run integration/setup')
    if done.returncode:
        sys.exit(f'`{" ".join(words)[:300]}` failed:\n{done.stdout[-4000:]}')
    return done.stdout


@contextlib.contextmanager
def locked(name):
    """Keeps other processes out, since tests that run at once share jars, classes and certificates."""
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / f'{name}.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def tail(path, lines=40):
    with contextlib.suppress(FileNotFoundError):
        last = path.read_text(errors='replace').splitlines()[-lines:]
        return '\n'.join(line[:300] for line in last)
    return ''
