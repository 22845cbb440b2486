"""One cluster: its nodes as processes, started, killed, paused and restarted, and gone when this process is."""
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from .common import HOME, locked, log, release, run, tail
from .jars import archive, java
from .kerberos import Realm
from .security import PLAIN, SCRAM, USERS, pki, scram_arguments
from .settings import listeners, properties

CLUSTERS = HOME / 'clusters'
LOG4J = ('log4j.rootLogger=INFO, A\nlog4j.appender.A=org.apache.log4j.ConsoleAppender\n'
         'log4j.appender.A.layout=org.apache.log4j.PatternLayout\n'
         'log4j.appender.A.layout.ConversionPattern=[%d] %p %m (%c)%n\n')
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Cluster:
    def __init__(self, version, name, nodes, heap, settings, zookeeper=False, behind=None, more=None,
                 kerberos=False):
        self.version, self.heap, self.settings = version, heap, settings
        self.kraft = release(version) >= (3, 5) and not zookeeper
        self.behind = behind or {}      # names of listeners, and the ports that each node tells clients to come to
        self.more = more or {}          # names of listeners, and the protocol of each
        if (self.behind or self.more) and release(version) < (1, 0):
            raise SystemExit(f'{version} has no listeners with names of their own')
        self.home = CLUSTERS / f'{name}-{os.getpid()}'
        sweep()
        self.home.mkdir(parents=True)
        self.lock = open(self.home / 'lock', 'w')
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.reserved = []
        names = listeners(version, self.kraft) + list(self.more) + list(self.behind)
        self.ports = {node: {name: self.free_port() for name in names + ['CONTROLLER'] * self.kraft}
                      for node in range(1, nodes + 1)}
        self.zookeeper_port = None if self.kraft else self.free_port()
        self.realm = Realm(self.home / 'kdc', self.free_port()) if kerberos else None
        self.processes = {}
        self.options = []               # of the Java machine

    # What a caller may do

    def start(self):
        if not self.kraft:
            self.start_zookeeper()
        if self.realm:
            self.start_kdc()
        for node in self.ports:
            self.folder(node).mkdir()
            text = ''.join(f'{name}={value}\n' for name, value in properties(self, node).items())
            (self.folder(node) / 'server.properties').write_text(text)
            (self.folder(node) / 'log4j.properties').write_text(LOG4J)
        self.prepare()
        for node in self.ports:
            self.launch(node)
        for node in self.ports:
            self.wait_listening(node)
        if not self.kraft and release(self.version) >= (0, 10, 2):
            self.add_scram_users()

    def describe(self):
        """What a client needs to know, as plain data."""
        addresses = {str(node): {name: f'localhost:{port}' for name, port in ports.items() if name != 'CONTROLLER'}
                     for node, ports in self.ports.items()}
        bootstrap = {name: ','.join(node[name] for node in addresses.values()) for name in addresses['1']}
        return {'version': self.version, 'home': str(self.home), 'nodes': addresses, 'bootstrap': bootstrap,
                'pids': {str(node): self.processes[node].pid for node in self.ports},
                'users': USERS, 'pki': str(pki()), 'kerberos': self.realm and self.realm.describe()}

    def signal(self, node, how):
        self.processes[node].send_signal(how)

    def kill(self, node):
        """Ends a node at once, as a power cut does, and returns when it is gone."""
        self.signal(node, signal.SIGKILL)
        self.processes[node].wait()

    def stop(self, node, seconds=30):
        """Lets a node hand over its partitions and end."""
        process = self.processes[node]
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill(node)

    def start_node(self, node, version=None):
        """Starts a node that was killed or stopped, if need be as another release, and waits until it listens."""
        if self.processes[node].poll() is None:
            return
        if not self.kraft:
            time.sleep(4)           # ZooKeeper refuses a broker that it has not forgotten yet
        self.launch(node, version)
        self.wait_listening(node)

    def close(self):
        """Ends every process and removes the data: what a test leaves behind is nothing."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    # How

    def folder(self, node):
        return self.home / str(node)

    def free_port(self):
        """A port that stays ours: bound, never listening, so that a node may listen on it but nobody else gets it."""
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(('127.0.0.1', 0))
        self.reserved.append(holder)
        return holder.getsockname()[1]

    def prepare(self):
        """Formats the data folders (KRaft), or writes the users down (ZooKeeper)."""
        if not self.kraft:
            if release(self.version) >= (0, 10):
                logins = PLAIN + ('\n' + SCRAM if release(self.version) >= (0, 10, 2) else '')
                for node in self.ports:
                    (self.folder(node) / 'jaas.conf').write_text('KafkaServer {\n' + logins + '\n};\n')
            return
        formats = []
        for node in self.ports:
            command = java(self.version, 'kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qk',
                           '-c', self.folder(node) / 'server.properties', *scram_arguments())
            formats.append((self.spawn(self.folder(node), 'format.log', command), self.folder(node)))
        for process, folder in formats:
            if process.wait():
                raise SystemExit('a node could not be formatted:\n' + tail(folder / 'format.log'))

    def launch(self, node, version=None):
        folder = self.folder(node)
        options = [*self.options, f'-Dlog4j.configuration=file:{folder}/log4j.properties', f'-Dkafka.logs.dir={folder}']
        if (folder / 'jaas.conf').exists():
            options.append(f'-Djava.security.auth.login.config={folder}/jaas.conf')
        if self.realm:
            options.append(f'-Djava.security.krb5.conf={self.realm.folder}/krb5.conf')
        command = java(version or self.version, 'kafka.Kafka', folder / 'server.properties', heap=self.heap,
                       options=options, old=not self.kraft)
        self.processes[node] = self.spawn(folder, 'server.log', command)

    def spawn(self, folder, log_name, command, environment=None):
        with open(folder / log_name, 'ab') as out:
            try:
                return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder,
                                        env=environment, start_new_session=True, preexec_fn=die_with_parent)
            except FileNotFoundError:
                sys.exit(f'{command[0]} is not installed: run integration/setup')

    def wait_listening(self, node):
        wait_port(self.ports[node]['PLAINTEXT'], self.processes[node], self.folder(node) / 'server.log')

    def start_zookeeper(self):
        folder = self.home / 'zookeeper'
        folder.mkdir()
        (folder / 'zoo.cfg').write_text(
            f'tickTime=500\ndataDir={folder}/data\nclientPort={self.zookeeper_port}\nclientPortAddress=127.0.0.1\n'
            'admin.enableServer=false\nmaxClientCnxns=0\n')
        command = java('zookeeper', 'org.apache.zookeeper.server.quorum.QuorumPeerMain', folder / 'zoo.cfg',
                       heap=64, old=True)
        self.processes['zookeeper'] = self.spawn(folder, 'server.log', command)
        wait_port(self.zookeeper_port, self.processes['zookeeper'], folder / 'server.log')

    def start_kdc(self):
        self.realm.prepare()
        folder, environment = self.realm.folder, self.realm.environment
        self.processes['kdc'] = self.spawn(folder, 'server.log', self.realm.command(), environment)
        wait_port(self.realm.port, self.processes['kdc'], folder / 'server.log')

    def add_scram_users(self):
        for user, secret in USERS.items():
            run(*java(self.version, 'kafka.admin.ConfigCommand', '--zookeeper',
                      f'127.0.0.1:{self.zookeeper_port}/kafka', '--alter', '--entity-type', 'users',
                      '--entity-name', user, '--add-config',
                      f'SCRAM-SHA-256=[password={secret}],SCRAM-SHA-512=[password={secret}]', old=True))


def make_archive(version):
    """Lets a broker write down the classes that it has loaded, so that the next ones start in half the time."""
    made = archive(version)
    fresh = made.with_suffix('.new')
    with locked('archive'):
        if made.exists():
            return
        cluster = Cluster(version, 'archive', 1, 256, {})
        cluster.options = [f'-XX:ArchiveClassesAtExit={fresh}']
        try:
            cluster.start()
            cluster.stop(1)
        finally:
            cluster.close()
        if fresh.exists():
            fresh.rename(made)
        else:
            log('the broker has written no archive: the next ones start as slowly as it')


def die_with_parent():
    """Runs in the child: if this process is killed so hard that it cannot clean up, its brokers go too."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_port(port, process, log_file, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            return socket.create_connection(('127.0.0.1', port), 1).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f'nothing listens on {port}:\n' + tail(pathlib.Path(log_file)))


def sweep():
    """Removes what clusters left whose process was killed: nobody holds their lock."""
    CLUSTERS.mkdir(parents=True, exist_ok=True)
    with locked('clusters'):
        for lock in CLUSTERS.glob('*/lock'):
            with open(lock) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue
                shutil.rmtree(lock.parent, ignore_errors=True)
