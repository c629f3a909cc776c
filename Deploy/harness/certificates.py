"""A certificate authority for one run, made by openssl, and one certificate for every address of the run.

SIP over TLS by address wants the address in the certificate (RFC 5922 section 7.2), so all addresses that a case uses
are subject alternative names; as names as well, because the mbed TLS of linphone knows no addresses there. Nodes,
balancer and telephones share it; it is worth nothing after the run.
"""

import os
import shutil
import subprocess

from cluster import Failure


class Certificates:
    """`authority`, `chain` and `key` are files in PEM; `bundle` has certificate and key in one file."""

    def __init__(self, folder, addresses):
        if shutil.which("openssl") is None:
            raise Failure("openssl is not installed: apt-get install openssl")
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.authority, self.authority_key = self.path("ca.pem"), self.path("ca.key")
        self.chain, self.key, self.bundle = self.path("peer.pem"), self.path("peer.key"), self.path("bundle.pem")
        self.make(addresses)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, addresses):
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.openssl(
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=Understudy acceptance CA",
            *new_key,
            "-keyout",
            self.authority_key,
            "-out",
            self.authority,
        )
        request, extensions = self.path("peer.csr"), self.path("peer.ext")
        self.openssl(
            "req",
            "-subj",
            f"/CN={addresses[0]}",
            *new_key,
            "-keyout",
            self.key,
            "-out",
            request,
        )
        with open(extensions, "w") as file:
            names = [f"{kind}:{address}" for address in addresses for kind in ("IP", "DNS")]
            file.write("subjectAltName=" + ",".join(names) + "\n")
        self.openssl(
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            request,
            "-extfile",
            extensions,
            "-CAcreateserial",
            "-CA",
            self.authority,
            "-CAkey",
            self.authority_key,
            "-out",
            self.chain,
        )
        with open(self.bundle, "w") as bundle:
            for part in (self.chain, self.key):
                with open(part) as text:
                    bundle.write(text.read())

    @staticmethod
    def openssl(*arguments):
        result = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Failure(f"openssl {arguments[0]} failed: {result.stderr.strip()[-200:]}")

    def lines(self):
        """The keys below `sip.tls` of a node."""
        return [f"certificate-file: {self.chain}", f"key-file: {self.key}", f"ca-file: {self.authority}"]
