package multiparty

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/commonseal/commonseal/he"
)

// A message is what one party says to all others: its commitment of a stage, or
// one part it committed to.
type message struct {
	stage   stage
	reveal  bool
	part    int // in the stage; 0 of a commitment
	payload []byte
}

// messageHeader is version, stage, reveal, part.
const messageHeader = 1 + 1 + 1 + 4

// append adds the one encoding of m to dst.
func (m message) append(dst []byte) []byte {
	reveal := byte(0)
	if m.reveal {
		reveal = 1
	}
	dst = append(dst, he.Version, byte(m.stage), reveal)
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.part))
	return append(dst, m.payload...)
}

// Describe says what a message of a ceremony or a key set is, by its header
// alone: a commitment of a stage, or the reveal of one of its parts. Stages and
// parts are those of [Plan.Stages]; whether the plan has the part, and all of
// the payload, is for Receive to check.
func Describe(msg []byte) (stage, part int, reveal bool, err error) {
	m, err := parseMessageHeader(msg)
	return int(m.stage), m.part, m.reveal, err
}

func parseMessageHeader(b []byte) (message, error) {
	if len(b) < messageHeader {
		return message{}, fmt.Errorf("ceremony message of %d bytes; its header has %d", len(b), messageHeader)
	}
	m := message{stage: stage(b[1]), reveal: b[2] == 1, payload: b[messageHeader:]}
	index := binary.BigEndian.Uint32(b[3:])
	switch {
	case b[0] != he.Version:
		return message{}, fmt.Errorf("ceremony message of version %d; this build reads version %d", b[0], he.Version)
	case m.stage >= stages || b[2] > 1:
		return message{}, fmt.Errorf("ceremony message of %v, type %d; is the sender newer?", m.stage, b[2])
	case !m.reveal && index != 0, index > math.MaxInt32:
		return message{}, fmt.Errorf("%v: part %d is none; is the sender newer?", m.stage, index)
	}
	m.part = int(index)
	return m, nil
}

// parseMessage decodes exactly one message of a script, sharing its payload.
// It checks everything but the payload's content.
func parseMessage(s script, b []byte) (message, error) {
	m, err := parseMessageHeader(b)
	if err != nil {
		return message{}, err
	}
	parts := s[m.stage]
	// A key set has no nonces and no round 2, so a commitment to none of them.
	if m.part >= len(parts) {
		return message{}, fmt.Errorf("%v: part %d of %d", m.stage, m.part, len(parts))
	}
	need := len(he.Digest{}) * (1 + len(parts))
	if m.reveal {
		need = parts[m.part].size()
	}
	if len(m.payload) != need {
		return message{}, fmt.Errorf("%v: a payload of %d bytes; the plan says %d", m.stage, len(m.payload), need)
	}
	return m, nil
}
