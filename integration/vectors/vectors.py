"""Makes the byte vectors in tests/vectors: what other clients write for the messages that `Sampler` makes.

    python -m venv target/venv && target/venv/bin/pip install kafka-python==3.0.12
    target/venv/bin/python integration/vectors/vectors.py kafka-python > tests/vectors/kafka-python.txt
    target/venv/bin/python integration/vectors/vectors.py java JAR... > tests/vectors/kafka-clients.txt

`java` takes the jars of one release of kafka-clients and what it needs (slf4j-api, jackson-databind); after `--` may
follow the jars of an older release, for the versions that the newer one dropped. It leaves out what kafka-python has.

A line is `name version hex`: the bytes of the message without header, or with `:frame` a whole frame, whose
correlation id is 7 and whose client id is "me"; with `:nulls` all that can be null is null. The values are those of
`Sampler` in src/wire/sampler.rs: a counter from 1 to 124 that each number, string, bytes or bool takes in turn.
"""
import base64, json, os, pathlib, re, subprocess, sys, uuid, zipfile

APIS = '''AddOffsetsToTxn AddPartitionsToTxn ApiVersions ConsumerGroupHeartbeat CreateTopics DeleteGroups DeleteRecords
    DeleteTopics DescribeCluster DescribeConfigs DescribeGroups EndTxn Fetch FindCoordinator Heartbeat InitProducerId
    JoinGroup LeaveGroup ListGroups ListOffsets Metadata OffsetCommit OffsetFetch OffsetForLeaderEpoch Produce
    SaslAuthenticate SaslHandshake SyncGroup TxnOffsetCommit'''.split()
MESSAGES = [api + half for api in APIS for half in ('Request', 'Response')]
BLOBS = ['ConsumerProtocolSubscription', 'ConsumerProtocolAssignment']
FRAMES = ('ApiVersions', 'Heartbeat', 'SaslHandshake')
INTEGERS = ('int8', 'int16', 'int32', 'int64')


def versions(text, highest=32767):
    if text in (None, 'none'): return range(0)
    if text.endswith('+'): return range(int(text[:-1]), highest + 1)
    low, _, high = text.partition('-')
    return range(int(low), int(high or low) + 1)


class Sampler:
    """The twin of `Sampler` in src/wire/sampler.rs; makes the JSON that Kafka's converters read."""

    def __init__(self, schema, version, nulls):
        self.schema, self.version, self.nulls, self.made = schema, version, nulls, 0
        self.structs = {struct['name']: struct for struct in schema.get('commonStructs', [])}

    def number(self):
        self.made = self.made % 124 + 1
        return self.made

    def message(self): return self.struct(self.schema['fields'])

    def struct(self, fields):
        present = [f for f in fields if self.version in versions(f['versions'])]
        tagged = lambda f: 'tag' in f and self.version in versions(f.get('taggedVersions'))
        ordered = [f for f in present if not tagged(f)] + sorted(filter(tagged, present), key=lambda f: f['tag'])
        made = {f['name']: self.field(f) for f in ordered}
        return {f['name']: made[f['name']] for f in present}

    def field(self, field):
        nulls, can_be_null = self.nulls, field.get('nullableVersions')
        self.nulls = nulls and (not can_be_null or self.version in versions(can_be_null))
        try:
            if self.nulls and can_be_null: return None
            value = self.value(field['type'], field)
            return self.value(field['type'], field) if value == default(field) else value
        finally:
            self.nulls = nulls

    def value(self, kind, field):
        if kind.startswith('[]'): return [self.value(kind[2:], field) for _ in range(2)]
        if kind in INTEGERS: return self.number()
        if kind == 'bool': return self.number() % 2 == 1
        if kind == 'string': return f'text-{self.number()}-\u00e4'
        if kind == 'uuid': return uuid.UUID(bytes=bytes([self.number()] * 16))
        if kind in ('bytes', 'records'): return bytes([self.number(), 0xff, 0])
        return self.struct(field.get('fields') or self.structs[kind]['fields'])


def default(field):
    text = field.get('default')
    if field['type'] in INTEGERS: return int(str(text or '0'), 0)
    if field['type'] == 'bool': return str(text).lower() == 'true'
    return None


def emit(name, version, nulls, encoded): print(name + (':nulls' if nulls else ''), version, encoded)


def schema_of(text): return json.loads(re.sub(r'^\s*//.*$', '', text, flags=re.M))


def python_schemas():
    import kafka.protocol.schemas.resources as resources
    folder = pathlib.Path(next(iter(resources.__path__)))
    return {path.stem: schema_of(path.read_text()) for path in folder.glob('*.json')}


def python_versions(schema): return range(0, versions(schema['validVersions'])[-1] + 1)


def python_classes():
    from kafka.protocol import admin, consumer, metadata, producer, sasl
    found = {}
    for module in (admin, consumer, metadata, producer, sasl):
        found.update({name: value for name, value in vars(module).items() if name in MESSAGES})
    return found


def python_value(fields, made, version):
    """Dictionaries become kafka-python's containers, by the order of the fields; numbers of bits become its sets."""
    out = {}
    present = [field for field in fields.values() if field.for_version_q(version)]
    for field, value in zip(present, made.values(), strict=True):
        inner = lambda value: field.data_class(version=version, **python_value(field.data_class.fields, value, version))
        if isinstance(value, dict): value = inner(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict): value = [inner(item) for item in value]
        elif 'authorized_operations' in field.name: value = {bit for bit in range(31) if value >> bit & 1}
        out[field.name] = value
    return out


def run_python():
    schemas, classes = python_schemas(), python_classes()
    for name in MESSAGES:
        if name not in classes: continue
        for version in python_versions(schemas[name]):
            for nulls in (False, True):
                made = Sampler(schemas[name], version, nulls).message()
                message = classes[name](version=version, **python_value(classes[name].fields, made, version))
                emit(name, version, nulls, message.encode().hex())
            if name.startswith(FRAMES):
                made = Sampler(schemas[name], version, False).message()
                message = classes[name](version=version, **python_value(classes[name].fields, made, version))
                message.with_header(correlation_id=7, **({'client_id': 'me'} if name.endswith('Request') else {}))
                print(name + ':frame', version, message.encode(header=True, framed=True).hex())


def java_json(value):
    if isinstance(value, dict): return {key[0].lower() + key[1:]: java_json(item) for key, item in value.items()}
    if isinstance(value, list): return [java_json(item) for item in value]
    if isinstance(value, uuid.UUID): return base64.urlsafe_b64encode(value.bytes).decode().rstrip('=')
    if isinstance(value, bytes): return base64.b64encode(value).decode()
    return value


def run_java(releases):
    have = {(name, version) for name, schema in python_schemas().items() if name in python_classes() for version in python_versions(schema)}
    for jars in releases:
        clients = next(jar for jar in jars if 'kafka-clients' in jar)
        archive, wanted = zipfile.ZipFile(clients), []
        for name in MESSAGES + BLOBS:
            schema = schema_of(archive.read(f'common/message/{name}.json').decode())
            for version in versions(schema['validVersions']):
                if (name, version) in have: continue
                have.add((name, version))
                for nulls in (False, True):
                    made = java_json(Sampler(schema, version, nulls).message())
                    wanted.append((name + (':nulls' if nulls else ''), version, json.dumps(made)))
        program = pathlib.Path(__file__).with_name('Vectors.java')
        lines = ''.join(f'{name} {version} {text}\n' for name, version, text in wanted)
        command = [os.environ.get('JAVA', 'java'), '-cp', os.pathsep.join(jars), str(program)]
        sys.stdout.write(subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True).stdout)


if __name__ == '__main__':
    if sys.argv[1] == 'kafka-python':
        print('# integration/vectors/vectors.py kafka-python (kafka-python 3.0.12)')
        run_python()
    else:
        releases = [part.split() for part in ' '.join(sys.argv[2:]).split(' -- ')]
        names = ', '.join(pathlib.Path(jar).stem for jars in releases for jar in jars if 'kafka-clients' in jar)
        print(f'# integration/vectors/vectors.py java ({names})')
        run_java(releases)
