package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Keys of the state, by what they begin with.
const (
	keyGenesis    = "genesis"
	keyMember     = "member/"       // name → Member
	keySigning    = "signing/"      // signing key → name of member or querier
	keyTLS        = "tls/"          // TLS key, also a former one → name of member or querier
	keyRequest    = "request/"      // digest of a Join → Votes
	keyRequests   = "requests"      // number of them
	keyUnwanted   = "unwanted/"     // block time, digest of a Join that no company is for → 1
	keyVotes      = "votes/"        // digest of what is voted on → Votes
	keySeen       = "seen/"         // expiry, hash → 1
	keyCurrent    = "current"       // KeyEpoch in force
	keyEpoch      = "epoch/"        // number → KeyEpoch
	keyCeremony   = "ceremony/"     // id → Ceremony
	keyAttempts   = "attempts/"     // key epoch → base ceremonies begun
	keyCommit     = "commit/"       // ceremony, stage, party → Commit
	keyReveal     = "reveal/"       // ceremony, stage, party → Reveal
	keyAck        = "ack/"          // ceremony, party → KeyAck
	keyTask       = "task/"         // id → Task
	keyContrib    = "contribution/" // task, kind, company → Contribution
	keyContribs   = "contributions" // number of them
	keyManifest   = "manifest/"     // digest → id of the contribution's task
	keyJob        = "job/"          // id → Job
	keyStep       = "step/"         // job, step, node → StepRecord
	keyTicket     = "ticket/"       // job, step → Ticket
	keyC1         = "c1/"           // digest → ticket's job and step
	keyModelVote  = "modelrecord/"  // job, node → ModelRecord
	keyModel      = "model/"        // id → Model
	keyPairKey    = "pairkey/"      // model, company → Serve
	keyValueVote  = "values/"       // job, node → Values
	keyQuerier    = "querier/"      // name → Querier
	keyUsage      = "usage/"        // node, batch → Usage
	keyUsed       = "used/"         // querier, model → Used
	keyEvidence   = "evidence/"     // digest → Evidence
	keyReward     = "reward/"       // number → RewardEpoch
	keyRewardNow  = "rewardepoch"   // RewardEpoch that is open
	keyMoney      = "money"         // Money that was voted for
	keyAccount    = "account/"      // name of member or querier → Account
	keyPot        = "pot/"          // task, or none → Pot
	keySupply     = "supply"        // Pot: all credits ever made
	keyRanking    = "ranking/"      // reward epoch, task, company → Ranking
	keyBonds      = "bonds/"        // task → Bonds
	keyValuations = "valuations/"   // task → Valuations
	keySettled    = "settled/"      // reward epoch, task → Settlement
	keyPayout     = "payout/"       // reward epoch, task, name → Payout
	keyBlend      = "blend/"        // task → Blend in force
	keyBlended    = "blended/"      // digest → Blend, in force or replaced
	keyChallenge  = "challenge/"    // job, step → Challenge

	keyMisbehaved = "misbehaved/" // consensus key → Misbehaviour
	keyIdle       = "idle/"       // name of a validator that does not sign → 1
	keyContact    = "contact/"    // name of a validator → Contact
	keyUpgrade    = "upgrade/"    // version → Upgrade
)

// key joins a prefix and parts. Parts of one prefix have fixed widths but the
// last, or are names, which have no zero byte.
func key(prefix string, parts ...any) []byte {
	b := []byte(prefix)
	for _, p := range parts {
		switch p := p.(type) {
		case Digest: // and Key
			b = append(b, p[:]...)
		case string:
			b = append(append(b, p...), 0)
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(p))
		case uint64:
			b = binary.BigEndian.AppendUint64(b, p)
		case uint32:
			b = binary.BigEndian.AppendUint32(b, p)
		case uint16:
			b = binary.BigEndian.AppendUint16(b, p)
		case uint8:
			b = append(b, p)
		default:
			panic(fmt.Sprintf("ledger: a key of %T", p)) // unreachable: every caller is in this package
		}
	}
	return b
}

// A state is a view with what a block has written so far on top.
type state struct {
	view    View
	written map[string][]byte // nil: deleted
	keys    []string          // of written, see order
	sorted  int               // how many of keys are in order
	now     int64             // block time
	height  int64             // of the block, 0 if it is in none yet
	genesis *Genesis
	rules   *Money // of the block: what it changes is in force from the next
	verify  Verifier
	off     defence // of attack tests alone
}

// above is a state of s's own on top of it, for what may come to nothing.
func (s *state) above() *state {
	return &state{view: s, written: map[string][]byte{}, now: s.now, height: s.height, genesis: s.genesis, rules: s.money(), verify: s.verify, off: s.off}
}

func newState(v View, now int64) *state {
	s := &state{view: v, written: map[string][]byte{}, now: now}
	if g, ok := load[Genesis](s, []byte(keyGenesis)); ok {
		s.genesis = g
	}
	return s
}

// Get implements [View].
func (s *state) Get(key []byte) []byte {
	if b, ok := s.written[string(key)]; ok {
		return b
	}
	return s.view.Get(key)
}

// Range implements [View]. What is written while it runs is not yielded.
func (s *state) Range(prefix []byte, yield func(key, value []byte) bool) {
	mine, stopped := s.below(string(prefix)), false
	upTo := func(last string, all bool) bool {
		for ; len(mine) > 0 && (all || mine[0] < last); mine = mine[1:] {
			if v := s.written[mine[0]]; v != nil && !yield([]byte(mine[0]), v) {
				return false
			}
		}
		return true
	}
	s.view.Range(prefix, func(k, v []byte) bool {
		_, over := s.written[string(k)]
		stopped = !upTo(string(k), false) || !over && !yield(k, v)
		return !stopped
	})
	if !stopped {
		upTo("", true)
	}
}

// below are the keys written that begin with prefix, in order.
func (s *state) below(prefix string) []string {
	s.order()
	from, _ := slices.BinarySearch(s.keys, prefix)
	n, _ := slices.BinarySearchFunc(s.keys[from:], prefix, func(k, prefix string) int {
		if strings.HasPrefix(k, prefix) {
			return -1
		}
		return 1
	})
	return slices.Clone(s.keys[from : from+n])
}

// set writes, or deletes if v is nil.
func (s *state) set(k string, v []byte) {
	if _, had := s.written[k]; !had {
		s.keys = append(s.keys, k)
	}
	s.written[k] = v
}

// order brings keys in order: when somebody asks for it, because most blocks only
// write, and a block of thousands would move them thousands of times.
func (s *state) order() {
	if s.sorted < len(s.keys) {
		slices.Sort(s.keys)
		s.sorted = len(s.keys)
	}
}

func (s *state) put(key []byte, v coded)        { s.set(string(key), appendCoded(nil, v)) }
func (s *state) putRaw(key []byte, v []byte)    { s.set(string(key), v) }
func (s *state) delete(key []byte)              { s.set(string(key), nil) }
func (s *state) has(key []byte) bool            { return s.Get(key) != nil }
func (s *state) name(key []byte) (string, bool) { b := s.Get(key); return string(b), b != nil }

// writes are what was written, by key, without what comes to nothing.
func (s *state) writes() []Write {
	s.order()
	var out []Write
	for _, k := range s.keys {
		if before := s.view.Get([]byte(k)); !bytes.Equal(before, s.written[k]) || (before == nil) != (s.written[k] == nil) {
			out = append(out, Write{Key: []byte(k), Value: s.written[k]})
		}
	}
	return out
}

// load reads the record at key.
func load[T any, P interface {
	*T
	coded
}](v View, key []byte) (*T, bool) {
	b := v.Get(key)
	if b == nil {
		return nil, false
	}
	return parse[T, P](key, b), true
}

// each yields the records below a prefix, in order of their keys.
func each[T any, P interface {
	*T
	coded
}](v View, prefix []byte, yield func(key []byte, record *T) bool) {
	v.Range(prefix, func(k, b []byte) bool { return yield(k, parse[T, P](k, b)) })
}

func parse[T any, P interface {
	*T
	coded
}](key, b []byte) *T {
	out := P(new(T))
	if err := parseCoded(b, out); err != nil {
		// unreachable: only this package writes the state, and its root covers it
		panic(fmt.Sprintf("ledger: record %q: %v", key, err))
	}
	return (*T)(out)
}
