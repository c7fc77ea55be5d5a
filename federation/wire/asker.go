package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// An Asker is a querier's side of one task: its own key, queries under it, and the
// answers read. It is safe for concurrent use.
type Asker struct {
	chain   string
	task    ledger.Digest
	seed    he.Seed
	profile *he.Profile
	secret  *he.SecretKey
	public  *he.PublicKey
}

// NewAsker makes a querier's key for a task. The seed is its secret; the same seed
// is the same key.
func NewAsker(chain, name string, seed he.Seed, task ledger.Digest, serve *he.Profile) *Asker {
	own := seed.Derive("clients/querier", []byte(name), task[:])
	derived := he.QuerierSeed(QuerierSession(chain, task), name, 0)
	secret := he.NewSecretKey(serve, own.Stream("secret"))
	return &Asker{chain, task, own, serve, secret, he.GenPublicKey(secret, derived, own.Stream("public"))}
}

// PublicKey is the encoding of the public key: a company admits its digest.
func (a *Asker) PublicKey() []byte { return a.public.Append(nil) }

// Announcement is the post of the public key, which nodes keep for those who
// answer. It is signed in signing's name, as are queries.
func (a *Asker) Announcement(keys uint32, signing ed25519.PrivateKey) (ledger.Post, []byte) {
	b := a.PublicKey()
	p := ledger.Post{Chain: a.chain, Epoch: keys, Profile: a.profile.Digest(), Scope: a.task, Kind: ledger.PostQuerierKey,
		Blob: sha256.Sum256(b), Size: uint32(len(b))}
	return p.Sign(signing), b
}

// Predict asks a model, or a blend by its digest, about rows (1, x) in [-1, 1] and
// returns their margins: the score is 1/(1 + e^-margin). put gives a query to a
// node and returns its answer, once for every ciphertext that the rows take; number
// numbers them. The same rows and numbers are the same bytes.
func (a *Asker) Predict(v ledger.View, of ledger.Digest, rows he.Rows, signing ed25519.PrivateKey, number func() uint64,
	put func(nodes []string, envelope, query []byte) ([]byte, error)) ([]float64, error) {
	asked, r := ledger.AskedOf(v, of)
	if r.Code != ledger.OK {
		return nil, errors.New(r.Detail)
	}
	t, _ := ledger.TaskOf(v, asked.Task)
	width, logParts := int(t.Packing.Width), 0
	if asked.Blend {
		logParts = he.LogParts
	}
	each := a.profile.N() / width
	var out []float64
	for from := 0; from < rows.Len(); from += each {
		part := rows.Slice(from, min(from+each, rows.Len()))
		q, err := he.EncryptQueries(a.public, part, width, a.seed)
		if err != nil {
			return nil, err
		}
		query := q.Append(nil)
		e := Query{Model: of, Sequence: number(), Rows: uint16(part.Len()), Digest: sha256.Sum256(query)}
		b, err := put(t.Nodes, e.Sign(a.chain, signing).Append(nil), query)
		if err != nil {
			return nil, err
		}
		answer, err := he.ParseAnswer(b, a.profile, width)
		if err != nil {
			return nil, err
		}
		out = append(out, a.secret.DecryptAnswers(answer, part.Len(), logParts)...)
	}
	return out, nil
}
