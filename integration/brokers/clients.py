"""The independent clients: Kafka's own, as classes compiled once, and kafka-python in a virtual environment."""
import hashlib
import shutil
import sys

from .common import HOME, ROOT, locked, log, run
from .jars import fetch


def compile_tool(version):
    """The folder of the compiled integration/java; its name is a digest of the sources, so an edit makes a new one."""
    sources = sorted((ROOT / 'java').glob('*.java'))
    digest = hashlib.sha256(version.encode() + b''.join(path.read_bytes() for path in sources)).hexdigest()[:16]
    lib, folder = fetch(version), HOME / 'classes' / digest
    with locked('classes'):
        if not folder.exists():
            fresh = folder.with_suffix('.new')
            shutil.rmtree(fresh, ignore_errors=True)
            run('javac', '-nowarn', '-d', fresh, '-cp', f'{lib}/*', *sources)
            fresh.rename(folder)
    return folder


def python_environment():
    """The interpreter that has what integration/python/requirements.txt names."""
    wanted = ROOT / 'python' / 'requirements.txt'
    folder = HOME / 'python'
    installed = folder / 'installed.txt'
    with locked('python'):
        if not installed.exists() or installed.read_text() != wanted.read_text():
            shutil.rmtree(folder, ignore_errors=True)
            log('installing kafka-python')
            run(sys.executable, '-m', 'venv', folder)
            run(folder / 'bin' / 'python', '-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', wanted)
            installed.write_text(wanted.read_text())
    return folder / 'bin' / 'python'
