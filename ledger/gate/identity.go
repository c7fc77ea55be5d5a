package gate

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

const (
	// certificateLife is how long a certificate is valid. It begins before it
	// is made, for peers whose clocks are behind.
	certificateLife = 24 * time.Hour
	clockSlack      = 2 * time.Hour
	// renewBefore is the life left below which the next handshake gets a new one.
	renewBefore = 12 * time.Hour
)

// An Identity is the Ed25519 key that a process proves to its peers, and the
// certificate it does it with. The certificate is made when it is needed and
// replaced long before it expires. Safe for concurrent use.
type Identity struct {
	private ed25519.PrivateKey
	key     ledger.Key

	mu   sync.Mutex // guards what follows
	cert *tls.Certificate
	ends time.Time
}

// NewIdentity is the identity of a private key of ed25519.PrivateKeySize bytes.
func NewIdentity(private ed25519.PrivateKey) (*Identity, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("gate: a TLS key of %d bytes, not %d; make it with keygen", len(private), ed25519.PrivateKeySize)
	}
	id := &Identity{private: private, key: ledger.Key(private.Public().(ed25519.PublicKey))}
	if _, err := id.certificate(); err != nil {
		return nil, err
	}
	return id, nil
}

// Key is what the identity proves: the TLS key of its member on the ledger.
func (id *Identity) Key() ledger.Key { return id.key }

// String names the public key only.
func (id *Identity) String() string { return fmt.Sprintf("%x", id.key) }

// certificate is one with at least renewBefore to live.
func (id *Identity) certificate() (*tls.Certificate, error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	now := time.Now()
	if id.cert != nil && now.Before(id.ends.Add(-renewBefore)) && now.After(id.ends.Add(-certificateLife)) {
		return id.cert, nil
	}
	begins := now.Add(-clockSlack).Truncate(time.Second)
	cert, err := certify(id.private, begins, begins.Add(certificateLife))
	if err != nil {
		return nil, fmt.Errorf("gate: cannot make a certificate: %w", err)
	}
	id.cert, id.ends = cert, begins.Add(certificateLife)
	return cert, nil
}

// certify signs a certificate for private with private. It names nobody: the
// name that belongs to the key is on the ledger.
func certify(private ed25519.PrivateKey, begins, ends time.Time) (*tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "commonseal"},
		NotBefore:    begins,
		NotAfter:     ends,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, nil
}

// A defence is one that tests switch off, to show that an attack works then.
type defence uint8

const (
	tls13Only defence = 1 << iota
	ed25519Only
	inForce   // the certificate's dates
	admission // the key is one that is admitted
	recheck   // and stays so
	pace      // a stream carries bytes
	noCompression
)

// readCertificate is the key that a peer's certificate proves, if it is one
// such as certify makes: alone, Ed25519, signed by itself, in force, not for
// longer than a day. That the peer has the private key TLS has checked.
func readCertificate(state tls.ConnectionState, now time.Time, off defence) (ledger.Key, error) {
	if len(state.PeerCertificates) != 1 {
		return ledger.Key{}, fmt.Errorf("%d certificates, not 1", len(state.PeerCertificates))
	}
	cert := state.PeerCertificates[0]
	public, ok := cert.PublicKey.(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		if off&ed25519Only != 0 {
			return ledger.Key{}, nil
		}
		return ledger.Key{}, fmt.Errorf("a certificate for a %s key, not Ed25519", cert.PublicKeyAlgorithm)
	}
	key := ledger.Key(public)
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return key, fmt.Errorf("the certificate is not signed by its own key: %w", err)
	}
	if off&inForce != 0 {
		return key, nil
	}
	switch {
	case now.Before(cert.NotBefore):
		return key, fmt.Errorf("the certificate is valid from %s only; set the clocks", cert.NotBefore.UTC().Format(time.RFC3339))
	case now.After(cert.NotAfter):
		return key, fmt.Errorf("the certificate expired at %s; restart its owner or set the clocks", cert.NotAfter.UTC().Format(time.RFC3339))
	case cert.NotAfter.Sub(cert.NotBefore) > certificateLife:
		return key, errors.New("the certificate is valid for longer than a day")
	}
	return key, nil
}

// config is what both sides of a connection have in common. accept is asked
// for every handshake: nothing is resumed, so none is skipped.
func (id *Identity) config(accept func(tls.ConnectionState) error, off defence) *tls.Config {
	config := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		SessionTicketsDisabled: true,
		NextProtos:             []string{"h2"},
		VerifyConnection:       accept,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.certificate() },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.certificate() },
	}
	if off&tls13Only != 0 {
		config.MinVersion = tls.VersionTLS12
	}
	return config
}

// clientConfig is for a connection to whoever has the key want.
func (id *Identity) clientConfig(want ledger.Key, off defence) *tls.Config {
	config := id.config(func(state tls.ConnectionState) error {
		key, err := readCertificate(state, time.Now(), off)
		if err != nil {
			return fmt.Errorf("gate: the server is refused: %w", err)
		}
		if key != want && off&admission == 0 {
			return fmt.Errorf("gate: the server has the key %x, not %x; check its address and key", key[:6], want[:6])
		}
		return nil
	}, off)
	// There is no authority and no host name: VerifyConnection is the check.
	config.InsecureSkipVerify = true
	return config
}

// serverConfig is for connections from peers that accept takes.
func (id *Identity) serverConfig(accept func(ledger.Key) error, off defence) *tls.Config {
	config := id.config(func(state tls.ConnectionState) error {
		key, err := readCertificate(state, time.Now(), off)
		if err == nil {
			err = accept(key)
		}
		if err != nil {
			return fmt.Errorf("gate: the peer is refused: %w", err)
		}
		return nil
	}, off)
	config.ClientAuth = tls.RequireAnyClientCert
	return config
}
