"""Which jars a release needs, and how a class in them is started."""
import os
import shutil

from .common import HOME, locked, log, release, run

JAVA = os.environ.get('JAVA', 'java')
ZOOKEEPER = '3.8.4'
TOOLS = '4.4.0'

# Small and quick to start: the first compiler only, serial collection, no performance data file.
JVM = ['-Xms64m', '-Xss512k', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData',
       '-XX:+ExitOnOutOfMemoryError', '-Djava.awt.headless=true', '-Djava.net.preferIPv4Stack=true',
       '-Xlog:disable', '-Xlog:all=warning:stderr']     # standard output is for answers
# What releases of the ZooKeeper age need on Java 17.
OLD_JVM = [
    '--add-exports=java.base/sun.nio.ch=ALL-UNNAMED', '--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED',
    *(f'--add-opens=java.base/{package}=ALL-UNNAMED'
      for package in ('sun.nio.ch', 'java.nio', 'java.lang', 'java.util', 'java.util.concurrent')),
    '-Dzookeeper.sasl.client=false',
]

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>brokers</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>{}</dependencies></project>"""
DEPENDENCY = ('<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>'
              '<exclusions>{}</exclusions></dependency>')
EXCLUSION = '<exclusion><groupId>{}</groupId><artifactId>{}</artifactId></exclusion>'
# Named in old POMs, but in no public repository or of no use to a broker.
ABSENT = ['com.sun.jmx:jmxri', 'com.sun.jdmk:jmxtools', 'javax.jms:jms', 'javax.mail:mail', 'jline:jline',
          'junit:junit', 'ch.qos.logback:logback-classic']
COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'


def wanted(version):
    """The artifacts that Maven resolves for a release, for `zookeeper`, or for the `tools` of the command line."""
    logger = 'org.slf4j:slf4j-simple:1.7.36'
    if version == 'zookeeper':
        return [f'org.apache.zookeeper:zookeeper:{ZOOKEEPER}', 'io.dropwizard.metrics:metrics-core:4.1.12.1',
                'org.xerial.snappy:snappy-java:1.1.10.5', logger]
    if version == 'tools':
        return [f'org.apache.kafka:kafka-tools:{TOOLS}', logger]
    scala = '2.11' if release(version) < (2,) else '2.13'
    artifacts = [f'org.apache.kafka:kafka_{scala}:{version}']
    if (0, 10) <= release(version) < (1, 1):
        artifacts.append('javax.xml.bind:jaxb-api:2.3.1')       # gone from Java 11 on
    if release(version) >= (1,):
        artifacts.append(logger)                                # older ones bring log4j
    return artifacts


def fetch(version):
    """The folder that holds the jars of a release, resolved through Maven when it is not there yet."""
    lib = HOME / 'lib' / version
    with locked('lib'):
        if (lib / 'complete').exists():
            return lib
        shutil.rmtree(lib, ignore_errors=True)
        archive(version).unlink(missing_ok=True)
        lib.mkdir(parents=True)
        exclusions = ''.join(EXCLUSION.format(*artifact.split(':')) for artifact in ABSENT)
        dependencies = ''.join(DEPENDENCY.format(*artifact.split(':'), exclusions) for artifact in wanted(version))
        (lib / 'pom.xml').write_text(POM.format(dependencies))
        log(f'resolving the jars of {version}')
        run('mvn', '-B', '-q', '-f', lib / 'pom.xml', COPY, '-DincludeScope=runtime', f'-DoutputDirectory={lib}')
        (lib / 'complete').touch()
    return lib


def archive(version):
    """Where the classes that a broker of this release loads lie ready for the next one, if somebody has made it."""
    return HOME / 'lib' / f'{version}.jsa'


def java(version, main, *arguments, heap=256, options=(), old=False, classes=None):
    """The command that starts a class of a release; `old` for those that Java 17 must be made to bear."""
    path, ready = f'{fetch(version)}/*', archive(version)
    shared = [f'-XX:SharedArchiveFile={ready}'] if ready.exists() else []
    # An archive is good for paths that begin as the broker's did.
    return [JAVA, f'-Xmx{heap}m', *JVM, *shared, *(OLD_JVM if old else []), *map(str, options),
            '-cp', f'{path}:{classes}' if classes else path, main, *map(str, arguments)]
