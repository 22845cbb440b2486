"""What a broker says to clients that log in, rightly and wrongly, byte for byte: sasl_exchanges.py HOST:PORT

Prints a list of what was tried and what came of it, without what differs from run to run: nonces, salts and signatures.
The broker has the user alice, whose password is alice-secret, of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
"""
import base64
import hashlib
import hmac
import json
import re
import socket
import struct
import sys

HASHES = {'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512'}
RIGHT = b'\0alice\0alice-secret'
PLAIN = [
    RIGHT, b'alice' + RIGHT, b'\0alice\0wrong', b'\0nobody\0alice-secret', b'\0alice', b'\0alice\0a\0b', b'', b'\0\0x', b'\0alice\0',
    b'bob' + RIGHT,
]
FIRST = [
    'n,a=alice,n=alice,r=abc', 'n,a=bob,n=alice,r=abc', 'n,,n=alice,r=abc,x=y', 'n,,n=alice,r=abc,tokenauth=true', 'n,,n=nobody,r=abc',
    'y,,n=alice,r=abc', 'p=tls-unique,,n=alice,r=abc', 'n,,n=al=ice,r=abc', 'n,,n=alice,r=', 'n,,n=alice', 'n,,r=abc', 'garbage', '',
]


class Client:
    def __init__(self):
        host, port = sys.argv[1].rsplit(':', 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(10)

    def send(self, message):
        self.socket.sendall(struct.pack('>i', len(message)) + message)

    def frame(self):
        """The next answer, or None where the connection ends instead."""
        try:
            return self.exactly(struct.unpack('>i', self.exactly(4))[0])
        except (EOFError, ConnectionError):
            return None

    def exactly(self, count):
        got = b''
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def ask(self, api, version, body):
        self.send(struct.pack('>hhih', api, version, 7, -1) + body)
        answer = self.frame()
        return None if answer is None else answer[4:]

    def is_closed(self):
        """Whether the connection ends before Metadata is answered."""
        try:
            return self.ask(3, 1, struct.pack('>i', 0)) is None
        except ConnectionError:
            return True

    def choose(self, mechanism, version=1):
        """The error, and the mechanisms that there are."""
        answer = self.ask(17, version, struct.pack('>h', len(mechanism)) + mechanism.encode())
        if answer is None:
            return None
        code, count = struct.unpack('>hi', answer[:6])
        names = re.findall(rb'[A-Z0-9-]{4,}', answer[6:])
        assert len(names) == count
        return code, sorted(name.decode() for name in names if name != b'OAUTHBEARER')

    def say(self, message, version=0):
        """The error, its text, and the broker's message."""
        answer = self.ask(36, version, struct.pack('>i', len(message)) + message)
        if answer is None:
            return None
        code, length = struct.unpack('>hh', answer[:4])
        text, rest = (None, answer[4:]) if length < 0 else (answer[4:4 + length].decode(), answer[4 + length:])
        return code, text, rest[4:4 + struct.unpack('>i', rest[:4])[0]].decode()


def plain(message):
    client = Client()
    return client.choose('PLAIN'), client.say(message), client.is_closed()


def bare(message):
    client = Client()
    chosen = client.choose('PLAIN', 0)
    client.send(message)
    answer = client.frame()
    return chosen, None if answer is None else answer.decode(), answer is None or client.is_closed()


def out_of_order():
    client = Client()
    yield 'SaslAuthenticate first', client.say(RIGHT)
    yield 'Metadata first', Client().is_closed()
    client = Client()
    yield 'no such mechanism', (client.choose('NOPE'), client.is_closed())
    client = Client()
    yield 'SaslHandshake twice', (client.choose('PLAIN'), client.choose('PLAIN'), client.is_closed())
    client = Client()
    client.choose('PLAIN')
    client.say(RIGHT)
    yield 'SaslAuthenticate again', (client.say(RIGHT), client.is_closed())
    client = Client()
    client.choose('PLAIN', 0)
    yield 'SaslAuthenticate where bare messages are', client.say(RIGHT)
    client = Client()
    client.socket.sendall(struct.pack('>i', 524289))
    yield 'too long', client.frame()


def scram(mechanism, first='n,,n=alice,r=abc', password=b'alice-secret', change=lambda last: last):
    client = Client()
    chosen, answer = client.choose(mechanism), client.say(first.encode())
    if answer is None or answer[0]:
        return chosen, answer, client.is_closed()
    assert re.fullmatch('r=abc[^,]+,s=[A-Za-z0-9+/]+=*,i=4096', answer[2]), answer
    header, bare_first = re.fullmatch('([^,]*,[^,]*,)(.*)', first).groups()
    fields = dict(field.split('=', 1) for field in answer[2].split(','))
    without_proof = f'c={base64.b64encode(header.encode()).decode()},r={fields["r"]}'

    def mac(key, data):
        return hmac.new(key, data, HASHES[mechanism]).digest()

    salted = hashlib.pbkdf2_hmac(HASHES[mechanism], password, base64.b64decode(fields['s']), int(fields['i']))
    client_key, signed = mac(salted, b'Client Key'), f'{bare_first},{answer[2]},{without_proof}'.encode()
    signature = mac(hashlib.new(HASHES[mechanism], client_key).digest(), signed)
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
    last = client.say(change(f'{without_proof},p={proof}').encode())
    if last and last[0] == 0:
        expected = base64.b64encode(mac(mac(salted, b'Server Key'), signed)).decode()
        assert last[2] == f'v={expected}', last
        last = last[0], last[1], 'v=signature'
    return chosen, last, client.is_closed()


def everything():
    for message in PLAIN:
        yield f'PLAIN {message}', plain(message)
    for message in (RIGHT, b'\0alice\0wrong'):
        yield f'bare {message}', bare(message)
    yield from out_of_order()
    for mechanism in HASHES:
        yield mechanism, scram(mechanism)
        yield f'{mechanism}, wrong password', scram(mechanism, password=b'wrong')
        yield f'{mechanism}, another nonce', scram(mechanism, change=lambda last: last.replace('r=abc', 'r=abd'))
        yield f'{mechanism}, another header', scram(mechanism, change=lambda last: last.replace('c=biws', 'c=eSws'))
        yield f'{mechanism}, no proof', scram(mechanism, change=lambda last: last.split(',p=')[0])
        for first in FIRST:
            yield f'{mechanism} {first}', scram(mechanism, first)


print(json.dumps(list(everything())))
