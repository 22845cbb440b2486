"""A Kerberos realm of a cluster's own: an MIT KDC on a free port, with a principal for the brokers and one for a client."""
import os

from .common import run

REALM = 'EXAMPLE.TEST'
SERVICE = f'kafka/localhost@{REALM}'
CLIENT = f'client@{REALM}'
CONFIGURATION = """[libdefaults]
 default_realm = {realm}
 dns_lookup_realm = false
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
 qualify_shortname = ""
 udp_preference_limit = 1
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
 localhost = {realm}
"""
KDC = """[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/kadm5.acl
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
 }}
[logging]
 kdc = FILE:{folder}/kdc.log
"""


class Realm:
    """The files of a realm; whoever has it starts `command()`, and a cluster's end is the end of it."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.environment = dict(os.environ, KRB5_CONFIG=str(folder / 'krb5.conf'),
                                KRB5_KDC_PROFILE=str(folder / 'kdc.conf'))

    def prepare(self):
        self.folder.mkdir()
        for name, text in [('krb5.conf', CONFIGURATION), ('kdc.conf', KDC), ('kadm5.acl', '')]:
            (self.folder / name).write_text(text.format(realm=REALM, port=self.port, folder=self.folder))
        self.run('kdb5_util', 'create', '-s', '-r', REALM, '-P', 'masterpw')
        for principal, keytab in [(SERVICE, 'kafka.keytab'), (CLIENT, 'client.keytab')]:
            self.run('kadmin.local', '-r', REALM, '-q', f'addprinc -randkey {principal}')
            self.run('kadmin.local', '-r', REALM, '-q', f'ktadd -k {self.folder}/{keytab} {principal}')

    def command(self):
        return [self.program('krb5kdc'), '-n', '-r', REALM]

    def log_in(self, file, lifetime):
        """Gets the client a ticket that lasts so many seconds, in a file of tickets."""
        self.run('kinit', '-k', '-t', self.folder / 'client.keytab', '-l', f'{lifetime}s', '-c', file, CLIENT)

    def run(self, program, *words):
        run(self.program(program), *words, env=self.environment)

    @staticmethod
    def program(name):
        """Debian keeps some of them where only administrators look."""
        path = f'/usr/sbin/{name}'
        return path if os.path.exists(path) else name

    def describe(self):
        return {'krb5_conf': str(self.folder / 'krb5.conf'), 'client_keytab': str(self.folder / 'client.keytab'),
                'principal': CLIENT}
