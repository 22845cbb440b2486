"""Who may connect: certificates (one root, a server, a client), and the users of the SASL mechanisms."""
import shutil

from .common import HOME, locked, run
from .kerberos import SERVICE

USERS = {'alice': 'alice-secret', 'bob': 'bob-secret'}


def jaas(login, **fields):
    return f'{login} required ' + ' '.join(f'{name}="{value}"' for name, value in fields.items()) + ';'


PLAIN = jaas('org.apache.kafka.common.security.plain.PlainLoginModule',
             **{f'user_{user}': secret for user, secret in USERS.items()})
SCRAM = jaas('org.apache.kafka.common.security.scram.ScramLoginModule')
OAUTH = jaas('org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule',
             unsecuredLoginStringClaim_sub='broker')
MECHANISMS = {'PLAIN': PLAIN, 'SCRAM-SHA-256': SCRAM, 'SCRAM-SHA-512': SCRAM, 'OAUTHBEARER': OAUTH}


def mechanisms(realm=None):
    """Each mechanism that the brokers have, and how they know who uses it."""
    if realm is None:
        return MECHANISMS
    login = jaas('com.sun.security.auth.module.Krb5LoginModule', useKeyTab='true', storeKey='true',
                 isInitiator='false', keyTab=realm.folder / 'kafka.keytab', principal=SERVICE)
    return dict(MECHANISMS, GSSAPI=login)


def scram_arguments():
    """The users, as the tool that formats a KRaft node wants them."""
    return [word for user, secret in USERS.items() for mechanism in ('SCRAM-SHA-256', 'SCRAM-SHA-512')
            for word in ('--add-scram', f'{mechanism}=[name={user},password={secret}]')]


def pki():
    """The folder with ca.pem, server and client certificates and keys, and the brokers' stores."""
    folder = HOME / 'pki'
    with locked('pki'):
        if not (folder / 'complete').exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make_certificates(folder)
            (folder / 'complete').touch()
    return folder


def make_certificates(folder):
    def openssl(*words):
        run('openssl', *words, cwd=folder)

    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '3650',
            '-subj', '/CN=TestRoot', '-addext', 'basicConstraints=critical,CA:TRUE',
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
    for name, subject, alternatives in [('server', 'localhost', 'DNS:localhost,IP:127.0.0.1'),
                                        ('client', 'client1', 'DNS:client1')]:
        openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.csr',
                '-subj', f'/CN={subject}')
        (folder / f'{name}.ext').write_text(f'subjectAltName={alternatives}\nbasicConstraints=CA:FALSE\n'
                                            'extendedKeyUsage=serverAuth,clientAuth\n')
        openssl('x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
                '-days', '3650', '-extfile', f'{name}.ext', '-out', f'{name}.pem')
    openssl('pkcs12', '-export', '-inkey', 'server.key', '-in', 'server.pem', '-certfile', 'ca.pem',
            '-name', 'server', '-passout', 'pass:changeit', '-out', 'server.p12')
    run('keytool', '-importcert', '-noprompt', '-alias', 'ca', '-file', 'ca.pem', '-keystore', 'trust.p12',
        '-storetype', 'PKCS12', '-storepass', 'changeit', cwd=folder)
    (folder / 'server.keystore.pem').write_text((folder / 'server.key').read_text()
                                                + (folder / 'server.pem').read_text())
