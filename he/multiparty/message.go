package multiparty

import (
	"encoding/binary"
	"fmt"

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

// parseMessage decodes exactly one message of a script, sharing its payload.
// It checks everything but the payload's content.
func parseMessage(s script, b []byte) (message, error) {
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
	case m.reveal && uint64(index) >= uint64(len(s[m.stage])), !m.reveal && index != 0:
		return message{}, fmt.Errorf("%v: part %d of %d", m.stage, index, len(s[m.stage]))
	}
	m.part = int(index)
	need := len(he.Digest{}) * (1 + len(s[m.stage]))
	if m.reveal {
		need = s[m.stage][m.part].size()
	}
	if len(m.payload) != need {
		return message{}, fmt.Errorf("%v: a payload of %d bytes; the plan says %d", m.stage, len(m.payload), need)
	}
	return m, nil
}
