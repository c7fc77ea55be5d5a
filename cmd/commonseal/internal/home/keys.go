package home

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/commonseal/commonseal/ledger"
)

// A PrivateKey is an Ed25519 private key that does not print: not by fmt, not in
// logs, not as JSON or YAML. The zero value is no key.
type PrivateKey struct {
	// A function, because fmt prints what is in unexported fields of somebody else's
	// struct without asking their methods, and follows pointers, but not this.
	key func() ed25519.PrivateKey
}

func hold(key ed25519.PrivateKey) PrivateKey {
	return PrivateKey{func() ed25519.PrivateKey { return key }}
}

func newPrivateKey() (PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return hold(key), err
}

// Ed25519 is the key itself, for who signs with it; nil if there is none.
func (k PrivateKey) Ed25519() ed25519.PrivateKey {
	if k.key == nil {
		return nil
	}
	return k.key()
}

// Public is the public key, zero if there is none.
func (k PrivateKey) Public() ledger.Key {
	if k.key == nil {
		return ledger.Key{}
	}
	return ledger.Key(k.key().Public().(ed25519.PublicKey))
}

const secret = "[secret]"

// Format prints "[secret]" for every verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret) }

// MarshalText is "[secret]", in JSON, YAML and logs.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(secret), nil }

// Keys are what a member proves itself with. Vote and P2P are those of a
// validator, and of nobody else.
type Keys struct {
	Signing, TLS, Vote, P2P PrivateKey
}

// files are the keys by the names of their files.
func (k *Keys) files() []keyFile {
	return []keyFile{{"signing", &k.Signing, true}, {"tls", &k.TLS, true}, {"vote", &k.Vote, false}, {"p2p", &k.P2P, false}}
}

type keyFile struct {
	name  string
	key   *PrivateKey
	every bool // member has one
}

// NewKeys makes the keys of a member with roles.
func NewKeys(roles ledger.Roles) (Keys, error) {
	var k Keys
	for _, f := range k.files() {
		if !f.every && !roles.Has(ledger.Validator) {
			continue
		}
		var err error
		if *f.key, err = newPrivateKey(); err != nil {
			return Keys{}, err
		}
	}
	return k, nil
}

// ReadKeys reads the keys in a home.
func ReadKeys(dir string) (Keys, error) {
	var k Keys
	if _, err := os.Stat(filepath.Join(dir, keysDir)); errors.Is(err, fs.ErrNotExist) {
		return k, fmt.Errorf("%s has no keys; make them with commonseal keygen --home %s", dir, dir)
	}
	for _, f := range k.files() {
		key, err := readKey(filepath.Join(dir, keysDir, f.name+".pem"))
		if errors.Is(err, fs.ErrNotExist) && !f.every {
			continue
		}
		if err != nil {
			return Keys{}, err
		}
		*f.key = key
	}
	if (k.Vote.key == nil) != (k.P2P.key == nil) {
		return Keys{}, fmt.Errorf("%s has one of vote.pem and p2p.pem; validators have both, others none: restore what is missing", filepath.Join(dir, keysDir))
	}
	return k, nil
}

// writeKeys writes keys to a home that has none, all or nothing. before is done
// when they are on disk and not yet in place.
func writeKeys(dir string, k Keys, before func() error) error {
	made, place := filepath.Join(dir, ".keys-new"), filepath.Join(dir, keysDir)
	if _, err := os.Lstat(place); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already, and keys are never overwritten; use another --home", place)
	}
	err := errors.Join(os.RemoveAll(made), os.MkdirAll(dir, 0o700), os.Mkdir(made, 0o700))
	for _, f := range k.files() {
		if err == nil && f.key.key != nil {
			err = writeKey(filepath.Join(made, f.name+".pem"), *f.key)
		}
	}
	if err == nil {
		err = before()
	}
	if err == nil {
		err = os.Rename(made, place)
	}
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

func writeKey(name string, k PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(k.Ed25519())
	if err != nil {
		return err
	}
	return writeFile(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// private refuses a file that others than its owner may read.
func private(name string, mode fs.FileMode) error {
	if mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%s: others than its owner may read it (mode %04o); if nobody did, run chmod 600 on it, else have the member revoked", name, mode.Perm())
	}
	return nil
}

// readKey reads one key, unless others may read it too. No error has any of its
// bytes.
func readKey(name string) (PrivateKey, error) {
	info, err := os.Stat(name)
	if err != nil {
		return PrivateKey{}, err
	}
	if err := private(name, info.Mode()); err != nil {
		return PrivateKey{}, err
	}
	b, err := ReadSmall(name)
	if err != nil {
		return PrivateKey{}, err
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return PrivateKey{}, fmt.Errorf("%s: not one private key in PEM; restore it from its backup", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return PrivateKey{}, fmt.Errorf("%s: not an Ed25519 key in PKCS #8; restore it from its backup", name)
	}
	return hold(key), nil
}
