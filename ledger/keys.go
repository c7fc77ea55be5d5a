package ledger

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// A part is how people write a part of a key.
type part struct {
	usage string
	parse func(chain, s string) (any, error)
}

var (
	namePart   = part{"NAME", parseName}
	nodePart   = part{"NODE", parseName}
	digestPart = part{"DIGEST", parseDigest}
	jobPart    = part{"JOB", parseDigest}
	modelPart  = part{"MODEL", parseDigest}
	taskPart   = part{"TASK", parseTask}
	usePart    = part{"training|validation", parseUse}
	stepPart   = part{"STEP", func(_, s string) (any, error) { n, err := parseNumber(s, 16); return uint16(n), err }}
	epochPart  = part{"NUMBER", func(_, s string) (any, error) { n, err := parseNumber(s, 32); return uint32(n), err }}
	numberPart = part{"NUMBER", func(_, s string) (any, error) { return parseNumber(s, 64) }}
)

// A recordKind is one kind of record of the state: how its key begins, what
// follows in it, and an empty value, nil of one that is bytes.
type recordKind struct {
	name, prefix string
	parts        []part
	empty        func() coded
}

// recordKinds are what can be proved to be in the state, or not to be.
var recordKinds = []recordKind{
	{"member", keyMember, []part{namePart}, func() coded { return new(Member) }},
	{"querier", keyQuerier, []part{namePart}, func() coded { return new(Querier) }},
	{"keyepoch", keyEpoch, []part{epochPart}, func() coded { return new(KeyEpoch) }},
	{"ceremony", keyCeremony, []part{digestPart}, func() coded { return new(Ceremony) }},
	{"task", keyTask, []part{taskPart}, func() coded { return new(Task) }},
	{"contribution", keyContrib, []part{taskPart, usePart, namePart}, func() coded { return new(Contribution) }},
	{"manifest", keyManifest, []part{digestPart}, nil},
	{"job", keyJob, []part{jobPart}, func() coded { return new(Job) }},
	{"step", keyStep, []part{jobPart, stepPart, nodePart}, func() coded { return new(StepRecord) }},
	{"ticket", keyTicket, []part{jobPart, stepPart}, func() coded { return new(Ticket) }},
	{"c1", keyC1, []part{digestPart}, nil},
	{"modelrecord", keyModelVote, []part{jobPart, nodePart}, func() coded { return new(ModelRecord) }},
	{"values", keyValueVote, []part{jobPart, nodePart}, func() coded { return new(Values) }},
	{"model", keyModel, []part{modelPart}, func() coded { return new(Model) }},
	{"usage", keyUsage, []part{nodePart, numberPart}, func() coded { return new(Usage) }},
	{"used", keyUsed, []part{namePart, modelPart}, func() coded { return new(Used) }},
	{"valuations", keyValuations, []part{taskPart}, func() coded { return new(Valuations) }},
	{"rewardepoch", keyReward, []part{numberPart}, func() coded { return new(RewardEpoch) }},
	{"account", keyAccount, []part{namePart}, func() coded { return new(Account) }},
	{"ranking", keyRanking, []part{numberPart, taskPart, namePart}, func() coded { return new(Ranking) }},
	{"settlement", keySettled, []part{numberPart, taskPart}, func() coded { return new(Settlement) }},
	{"payout", keyPayout, []part{numberPart, taskPart, namePart}, func() coded { return new(Payout) }},
	{"blend", keyBlend, []part{taskPart}, func() coded { return new(Blend) }},
	{"blended", keyBlended, []part{digestPart}, func() coded { return new(Blend) }},
	{"challenge", keyChallenge, []part{jobPart, stepPart}, func() coded { return new(Challenge) }},
	{"signing", keySigning, []part{digestPart}, nil},
	{"tls", keyTLS, []part{digestPart}, nil},
}

// RecordKinds are the kinds that [RecordKey] knows, each with what it takes.
func RecordKinds() (out []string) {
	for _, k := range recordKinds {
		out = append(out, k.usage())
	}
	return out
}

func (k *recordKind) usage() string {
	out := k.name
	for _, p := range k.parts {
		out += " " + p.usage
	}
	return out
}

// RecordKey is the key of the state at which the record of a kind is, or would
// be. Tasks go by name or id, digests and keys by 64 hexadecimal digits. Errors say
// what the kind takes.
func RecordKey(chain, kind string, parts ...string) ([]byte, error) {
	for _, k := range recordKinds {
		if k.name != kind {
			continue
		}
		if len(parts) != len(k.parts) {
			return nil, fmt.Errorf("%d parts of a key; it is %s", len(parts), k.usage())
		}
		out := []byte(k.prefix)
		for i, p := range k.parts {
			v, err := p.parse(chain, parts[i])
			if err != nil {
				return nil, fmt.Errorf("%w; it is %s", err, k.usage())
			}
			out = append(out, key("", v)...)
		}
		return out, nil
	}
	return nil, fmt.Errorf("no kind of record %.32q; there are %s", kind, strings.Join(RecordKinds(), ", "))
}

// ParseRecord is the record that a value of the state is, by its key: a pointer to
// a record of this package, or the bytes themselves of a value that is none.
func ParseRecord(key, value []byte) (any, error) {
	for _, k := range recordKinds {
		if !strings.HasPrefix(string(key), k.prefix) {
			continue
		}
		if k.empty == nil {
			return value, nil
		}
		out := k.empty()
		if err := parseCoded(value, out); err != nil {
			return nil, fmt.Errorf("record %.40q: %w", key, err)
		}
		return out, nil
	}
	return value, nil
}

func parseName(_, s string) (any, error) {
	if !ValidName(s) {
		return nil, fmt.Errorf("%.40q is not a name", s)
	}
	return s, nil
}

func parseDigest(_, s string) (any, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(Digest{}) {
		return nil, fmt.Errorf("%.70q is not 64 hexadecimal digits", s)
	}
	return Digest(b), nil
}

func parseTask(chain, s string) (any, error) {
	if ValidName(s) {
		return TaskID(chain, s), nil
	}
	return parseDigest(chain, s)
}

func parseUse(_, s string) (any, error) {
	switch s {
	case "training":
		return uint8(Training), nil
	case "validation":
		return uint8(Validation), nil
	}
	return nil, fmt.Errorf("%.20q is neither training nor validation", s)
}

func parseNumber(s string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%.20q is not a number of %d bits", s, bits)
	}
	return n, nil
}
