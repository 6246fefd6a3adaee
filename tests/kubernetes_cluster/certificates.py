"""A certificate authority of the cluster's own, and the files by which clients find the API server."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_VALID = dt.timedelta(days=1)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)

Extensions = tuple[x509.ExtensionType, ...]


class Authority:
    """Signs certificates of clients, which are users, and of servers.

    :param folder: where they go, the authority's own as ``ca.crt``
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aiopt-test")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        self._sign("ca", self._name, self._key, (basic, _SIGNS_CERTIFICATES))

    def client(self, user: str, group: str | None = None) -> tuple[Path, Path]:
        """Return certificate and key of a user."""
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        return self._issue(user.replace(":", "-"), attributes)

    def server(self, name: str, address: str) -> tuple[Path, Path]:
        """Return certificate and key of a server at this address."""
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        return self._issue(name, [x509.NameAttribute(NameOID.COMMON_NAME, name)], (alternative,))

    def key(self, name: str) -> tuple[Path, Path]:
        """Return a key that signs tokens, its private and its public half."""
        private, key = self.folder / f"{name}.key", ec.generate_private_key(ec.SECP256R1())
        public = self.folder / f"{name}.pub"
        private.write_bytes(_pem(key))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
        return private, public

    def kubeconfig(self, name: str, server: str, user: dict[str, str]) -> Path:
        """Write a file by which a client finds the API server.

        :param name: of the file
        :param server: its URL
        :param user: by what the client is known, in the keys of the file
        """
        values = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": server, "certificate-authority": str(self.certificate)},
                }
            ],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(values))
        return path

    def client_kubeconfig(self, user: str, server: str, group: str | None = None) -> Path:
        """Write such a file for a user with a certificate."""
        certificate, key = self.client(user, group)
        name = certificate.stem
        return self.kubeconfig(name, server, {"client-certificate": str(certificate), "client-key": str(key)})

    def _issue(
        self, name: str, attributes: list[x509.NameAttribute], extensions: Extensions = ()
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign(name, x509.Name(attributes), key, extensions)

    def _sign(
        self, name: str, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extensions: Extensions
    ) -> tuple[Path, Path]:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _VALID)
            .not_valid_after(now + _VALID)
        )
        # Python's TLS from 3.13 on asks for the first two.
        theirs = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (theirs, ours, *extensions):
            critical = isinstance(extension, (x509.BasicConstraints, x509.KeyUsage))
            builder = builder.add_extension(extension, critical=critical)
        made = builder.sign(self._key, hashes.SHA256())
        certificate, private = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(_pem(key))
        return certificate, private


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())
