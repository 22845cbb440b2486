#!/usr/bin/env python3
"""Real Kafka brokers on loopback, and the independent clients that the tests compare with.

  kafka.py cluster VERSION [--name NAME] [--nodes N] [--heap MB] [--zookeeper] [--set KEY=VALUE]...
                   [--behind NAME=PORT,PORT...]... [--listener NAME=PROTOCOL]... [--kerberos]
        starts a cluster on free ports, prints its addresses as one line of JSON, and ends it with standard input;
        by hand, until then: kill N, pause N, resume N, stop N, start N, restart N [VERSION], logs;
        --behind: one more plain-text listener on a free port, which tells clients to come to these ports, one a node;
        --listener: one more listener; --kerberos: a KDC, and GSSAPI, with the command `ticket FILE SECONDS`
  kafka.py fetch VERSION...            resolves a release's jars (cluster does it when they are missing)
  kafka.py archive VERSION             makes brokers of a release start in half the time, until their jars are fetched anew
  kafka.py tool [VERSION]              Kafka's own Java clients, one JSON command a line (integration/java)
  kafka.py member CLIENT SETTINGS      a member of a group by `java` or `kafka-python` (README.md)
  kafka.py python FILE ARGUMENT...     a script of integration/python, with kafka-python and its codecs
  kafka.py proxy socks5|http [USER PASSWORD]     a real proxy on a free port, until the end of standard input
  kafka.py run VERSION CLASS ARGUMENT...     a class of a release's jars, or of those of the command line: `run tools CLASS`

Needs Python 3.9, Java 17, mvn and openssl: integration/setup installs them. Everything lives in target/kafka.
"""
import argparse
import os

from brokers import proxies
from brokers.clients import compile_tool, python_environment
from brokers.cluster import Cluster, make_archive
from brokers.common import ROOT
from brokers.jars import fetch, java
from brokers.serve import serve

TOOL_VERSION = '4.4.0'


def main():
    arguments = parse()
    if arguments.verb == 'cluster':
        settings = dict(setting.split('=', 1) for setting in arguments.set)
        serve(Cluster(arguments.version, arguments.name, arguments.nodes, arguments.heap, settings,
                      arguments.zookeeper, dict(map(behind, arguments.behind)),
                      dict(listener.split('=', 1) for listener in arguments.listener), arguments.kerberos))
    elif arguments.verb == 'fetch':
        for version in arguments.version:
            print(fetch(version))
    elif arguments.verb == 'archive':
        make_archive(arguments.version)
    elif arguments.verb == 'tool':
        replace(java(arguments.version, 'Tool', heap=768, options=['-Dorg.slf4j.simpleLogger.defaultLogLevel=error'],
                     classes=compile_tool(arguments.version)))
    elif arguments.verb == 'member' and arguments.client == 'java':
        replace(java(TOOL_VERSION, 'Member', arguments.settings, heap=128,
                     options=['-Dorg.slf4j.simpleLogger.showDateTime=true'], classes=compile_tool(TOOL_VERSION)))
    elif arguments.verb == 'member':
        replace([str(python_environment()), str(ROOT / 'python' / 'member.py'), arguments.settings])
    elif arguments.verb == 'proxy':
        proxies.serve(arguments.kind, arguments.user, arguments.password)
    elif arguments.verb == 'python':
        python = python_environment()
        if arguments.file:
            replace([str(python), str(ROOT / 'python' / arguments.file), *arguments.arguments])
        print(python)
    else:
        quiet = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'] if arguments.version == 'tools' else []
        replace(java(arguments.version, arguments.main, *arguments.arguments, options=quiet))


def behind(argument):
    """NAME=PORT,PORT as a name and the ports."""
    name, ports = argument.split('=', 1)
    return name, [int(port) for port in ports.split(',')]


def replace(command):
    """Becomes the command, so that signals and the end of standard input reach it and not us."""
    os.execvp(command[0], command)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', required=True)
    verb = verbs.add_parser('cluster')
    verb.add_argument('version')
    verb.add_argument('--name', default='kafka')
    verb.add_argument('--nodes', type=int, default=1)
    verb.add_argument('--heap', type=int, default=256)
    verb.add_argument('--zookeeper', action='store_true', help='for a release that can do without it too')
    verb.add_argument('--set', action='append', default=[], metavar='KEY=VALUE')
    verb.add_argument('--behind', action='append', default=[], metavar='NAME=PORT,PORT...')
    verb.add_argument('--listener', action='append', default=[], metavar='NAME=PROTOCOL')
    verb.add_argument('--kerberos', action='store_true', help='for KRaft releases')
    verbs.add_parser('fetch').add_argument('version', nargs='+')
    verbs.add_parser('archive').add_argument('version')
    verbs.add_parser('tool').add_argument('version', nargs='?', default=TOOL_VERSION)
    verb = verbs.add_parser('member')
    verb.add_argument('client', choices=['java', 'kafka-python'])
    verb.add_argument('settings')
    verb = verbs.add_parser('proxy')
    verb.add_argument('kind', choices=['socks5', 'http'])
    verb.add_argument('user', nargs='?')
    verb.add_argument('password', nargs='?')
    verb = verbs.add_parser('python')
    verb.add_argument('file', nargs='?')
    verb.add_argument('arguments', nargs=argparse.REMAINDER)
    verb = verbs.add_parser('run')
    verb.add_argument('version')
    verb.add_argument('main')
    verb.add_argument('arguments', nargs=argparse.REMAINDER)
    return parser.parse_args()


if __name__ == '__main__':
    main()
