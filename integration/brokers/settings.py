"""The server.properties of one node: which listeners it has, and what makes it quick and small."""
from .common import release
from .security import mechanisms, pki

# Small buffers, few threads, no waiting for more members, for compaction or for transactions that time out: right for tests.
COMMON = {
    'num.partitions': 3, 'offsets.topic.num.partitions': 3, 'transaction.state.log.num.partitions': 3,
    'group.initial.rebalance.delay.ms': 0, 'group.min.session.timeout.ms': 500,
    'num.network.threads': 1, 'num.io.threads': 2, 'background.threads': 2,
    'log.cleaner.dedupe.buffer.size': 2097152, 'log.index.size.max.bytes': 1048576,
    'log.cleaner.backoff.ms': 100, 'transaction.abort.timed.out.transaction.cleanup.interval.ms': 200,
    'auto.create.topics.enable': 'true', 'delete.topic.enable': 'true',
}
KRAFT = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL', 'MTLS']


def listeners(version, kraft):
    """The names of the listeners that clients may use."""
    if kraft:
        return KRAFT
    return (['PLAINTEXT'] + ['SSL'] * (release(version) >= (0, 9))
            + ['SASL_PLAINTEXT'] * (release(version) >= (0, 10)))


def properties(cluster, node):
    """The settings of one node of a `Cluster` as a dictionary."""
    ports, nodes = cluster.ports[node], len(cluster.ports)
    settings = dict(COMMON, **{'log.dirs': cluster.folder(node) / 'data'})
    for topic in ('offsets.topic', 'transaction.state.log'):
        settings[f'{topic}.replication.factor'] = nodes
    settings['default.replication.factor'] = nodes
    settings['transaction.state.log.min.isr'] = max(1, nodes - 1)
    if nodes > 1:
        settings.update({'min.insync.replicas': nodes - 1, 'replica.lag.time.max.ms': 3000,
                         'controlled.shutdown.enable': 'true'})
    settings.update(kraft(cluster, node) if cluster.kraft else zookeeper(cluster, node))
    if release(cluster.version) < (0, 9):
        settings.update({'host.name': '127.0.0.1', 'port': ports['PLAINTEXT'],
                         'advertised.host.name': 'localhost', 'advertised.port': ports['PLAINTEXT']})
    else:
        names = listeners(cluster.version, cluster.kraft) + list(cluster.more) + list(cluster.behind)
        bound = names + ['CONTROLLER'] * cluster.kraft
        told = dict(ports, **{name: others[node - 1] for name, others in cluster.behind.items()})
        settings['listeners'] = ','.join(f'{name}://127.0.0.1:{ports[name]}' for name in bound)
        settings['advertised.listeners'] = ','.join(f'{name}://localhost:{told[name]}' for name in names)
    settings.update(cluster.settings)
    return settings


def kraft(cluster, node):
    pem, nodes, logins = pki(), len(cluster.ports), mechanisms(cluster.realm)
    settings = {
        'process.roles': 'broker,controller', 'node.id': node, 'controller.listener.names': 'CONTROLLER',
        'controller.quorum.voters': ','.join(f'{n}@127.0.0.1:{p["CONTROLLER"]}' for n, p in cluster.ports.items()),
        'broker.rack': f'rack{node}',
        'replica.selector.class': 'org.apache.kafka.common.replica.RackAwareReplicaSelector',
        'ssl.keystore.type': 'PEM', 'ssl.keystore.location': pem / 'server.keystore.pem',
        'ssl.truststore.type': 'PEM', 'ssl.truststore.location': pem / 'ca.pem',
        'listener.name.mtls.ssl.client.auth': 'required',
        'share.coordinator.state.topic.replication.factor': nodes, 'share.coordinator.state.topic.min.isr': 1,
        'listener.security.protocol.map': protocols(cluster, 'CONTROLLER:PLAINTEXT', 'MTLS:SSL'),
        'sasl.enabled.mechanisms': ','.join(logins), 'sasl.kerberos.service.name': 'kafka',
    }
    if nodes > 1:       # a dead node is noticed in 3 s instead of 9
        settings.update({'broker.session.timeout.ms': 3000, 'broker.heartbeat.interval.ms': 500,
                         'controller.quorum.election.timeout.ms': 500, 'controller.quorum.fetch.timeout.ms': 1000})
    with_logins = [name for name, protocol in cluster.more.items() if protocol.startswith('SASL')]
    for listener in ['sasl_plaintext', 'sasl_ssl'] + [name.lower() for name in with_logins]:
        settings[f'listener.name.{listener}.sasl.enabled.mechanisms'] = ','.join(logins)
        for mechanism, login in logins.items():
            settings[f'listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config'] = login
    return settings


def protocols(cluster, *more):
    """Which protocol each listener speaks."""
    own = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']
    others = [f'{name}:{protocol}' for name, protocol in cluster.more.items()]
    others += [f'{name}:PLAINTEXT' for name in cluster.behind]
    return ','.join([f'{name}:{name}' for name in own] + others + list(more))


def zookeeper(cluster, node):
    pem, names = pki(), listeners(cluster.version, kraft=False)
    settings = {'broker.id': node, 'zookeeper.connect': f'127.0.0.1:{cluster.zookeeper_port}/kafka',
                'zookeeper.connection.timeout.ms': 10000, 'zookeeper.session.timeout.ms': 3000}
    if cluster.behind or cluster.more:
        settings['listener.security.protocol.map'] = protocols(cluster)
    if 'SSL' in names:
        settings.update({
            'ssl.keystore.type': 'PKCS12', 'ssl.keystore.location': pem / 'server.p12',
            'ssl.keystore.password': 'changeit', 'ssl.key.password': 'changeit',
            'ssl.truststore.type': 'PKCS12', 'ssl.truststore.location': pem / 'trust.p12',
            'ssl.truststore.password': 'changeit',
        })
    if 'SASL_PLAINTEXT' in names:
        scram = ',SCRAM-SHA-256,SCRAM-SHA-512' if release(cluster.version) >= (0, 10, 2) else ''
        settings['sasl.enabled.mechanisms'] = 'PLAIN' + scram
    return settings
